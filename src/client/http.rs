//! Requests to one cluster: its URLs are tried in turn, and only what is safe to repeat is repeated.
//!
//! Every request made here may be repeated. Reads change nothing. Writes carry a `request_id`, or are idempotent as the
//! creation of a collection is. The client remembers over all attempts whether a failed write may have happened.

use super::failure::{Failure, UnusableInput, unanswered};
use super::silence::{CallFailure, Effect, Silence, Silences};
use crate::api::ErrorBody;
use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for an answer. It is longer than any deadline that a server keeps by default.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// First and longest pause between attempts. Each pause is twice the one before, less a random part of up to half.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A request's body and its type.
#[derive(Clone, Debug)]
pub struct Body {
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// What is sent; nothing for a request without a body.
    pub bytes: Bytes,
}

impl Body {
    /// `value` as JSON.
    pub fn json(value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).expect("wire types have string keys and no failing serializer").into();
        Self { content_type: "application/json", bytes }
    }

    fn none() -> Self {
        Self { content_type: "application/json", bytes: Bytes::new() }
    }
}

/// A client of one cluster, which it reaches through any of its URLs.
pub struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    /// Longest wait for the answer of one endpoint to a `GET`.
    look_timeout: Duration,
    /// The index of the URL that answered last. It is asked first.
    preferred: AtomicUsize,
}

impl Client {
    /// A client of the cluster behind these URLs.
    ///
    /// # Errors
    /// [`UnusableInput`] for a text that is no URL of HTTP.
    pub fn new(urls: &[String]) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT).build()?;
        let urls = urls.iter().map(|url| whole(url)).collect::<Result<_, _>>()?;
        Ok(Self { http, urls, look_timeout: ANSWER_TIMEOUT, preferred: AtomicUsize::new(0) })
    }

    /// The same client, which waits at most `look_timeout` for the answer of one endpoint to a `GET`.
    #[must_use]
    pub fn with_look_timeout(self, look_timeout: Duration) -> Self {
        Self { look_timeout, ..self }
    }

    /// Makes sure that all endpoints that answer lead to one cluster. Otherwise the first answer may come from the
    /// wrong cluster. One URL alone is not asked.
    ///
    /// # Errors
    /// [`Failure::TwoClusters`].
    pub async fn check_agreement(&self) -> Result<(), Failure> {
        let mut first: Option<(&String, String)> = None;
        for (endpoint, url) in self.urls.iter().enumerate().filter(|_| self.urls.len() > 1) {
            // An endpoint that does not say to which cluster it belongs cannot disagree.
            let Ok((200, text)) = self.fetch(endpoint, &Method::GET, "/quiver/v1/introduction", Body::none()).await
            else {
                continue;
            };
            let Ok(who) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
            let Some(found) = who["cluster"].as_str() else { continue };
            let (first, known) = first.get_or_insert_with(|| (url, found.to_owned()));
            if known != found {
                let (first, known) = ((*first).clone(), known.clone());
                return Err(Failure::TwoClusters { first, known, other: url.clone(), found: found.to_owned() });
            }
        }
        Ok(())
    }

    /// Reads by `GET`.
    ///
    /// # Errors
    /// Why no endpoint gave an answer of this form. A failed read leaves nothing unknown.
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        self.call(&Method::GET, path, Body::none(), Effect::Read).await
    }

    /// Reads by a `POST` that changes nothing, such as a search. Fails as [`Client::get`] does.
    pub async fn ask<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failure> {
        self.ask_body(path, Body::json(body)).await
    }

    /// Reads as [`Client::ask`] does, with a body that exists already.
    pub async fn ask_body<A: DeserializeOwned>(&self, path: &str, body: Body) -> Result<A, Failure> {
        self.call(&Method::POST, path, body, Effect::Read).await
    }

    /// Makes a change, with one pass over the endpoints and no repetition after it. The change must be idempotent:
    /// several endpoints may get it.
    ///
    /// # Errors
    /// Why no endpoint made it, and whether it may have happened all the same.
    pub async fn change<A: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        self.call(method, path, Body::json(body), Effect::Change).await
    }

    /// Reads a page that has the same form of body for every status, such as the health of the cluster. The first
    /// endpoint that answers counts.
    pub async fn page<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        let mut silences = Silences::default();
        for endpoint in 0..self.urls.len() {
            match self.fetch(endpoint, &Method::GET, path, Body::none()).await {
                // Also an error status counts as an answer, since its body has the same form.
                Ok((http, text)) => {
                    let foreign =
                        |_| Failure::Foreign { url: self.urls[endpoint].clone(), http, text: start_of(&text) };
                    return serde_json::from_slice(&text).map_err(foreign);
                }
                Err(silence) => silences.add(silence),
            }
        }
        Err(silences.failure(Effect::Read))
    }

    /// Writes JSON as [`Client::write_body`] does.
    pub async fn write<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
        on_retry: impl Fn(&Failure),
    ) -> Result<A, Failure> {
        self.write_body(path, Body::json(body), patience, on_retry).await
    }

    /// Writes by `POST`, and repeats until `patience` is over what may succeed later. `on_retry` is called before each
    /// repetition.
    ///
    /// # Errors
    /// [`Failure::GaveUp`] once patience is over, or where an outcome stayed unknown; else the failure itself.
    pub async fn write_body<A: DeserializeOwned>(
        &self,
        path: &str,
        body: Body,
        patience: Duration,
        on_retry: impl Fn(&Failure),
    ) -> Result<A, Failure> {
        let until = Instant::now() + patience;
        let (mut attempts, mut unknown, mut pause) = (0, false, PAUSES.0);
        loop {
            attempts += 1;
            let failure = match self.call(&Method::POST, path, body.clone(), Effect::Change).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // One attempt with an unknown outcome makes the whole write unknown: a later refusal does not undo it.
            unknown |= failure.outcome_unknown();
            // A clear refusal, with no attempt before it that may have happened.
            if !failure.retryable() && !unknown {
                return Err(failure);
            }
            if !failure.retryable() || Instant::now() + pause > until {
                return Err(Failure::GaveUp { attempts, unknown, last: Box::new(failure) });
            }
            // The random part keeps many clients from coming back at the same moment.
            on_retry(&failure);
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Makes one pass over the endpoints. It goes on to the next one if an endpoint is silent or its failure may pass.
    async fn call<A: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Body,
        effect: Effect,
    ) -> Result<A, Failure> {
        let first = self.preferred.load(Ordering::Relaxed);
        let (mut answered, mut silences) = (None, Silences::default());
        for turn in 0..self.urls.len() {
            let endpoint = (first + turn) % self.urls.len();
            match self.call_endpoint(endpoint, method, path, body.clone()).await {
                Ok(answer) => {
                    self.preferred.store(endpoint, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(CallFailure::Silent(silence)) => silences.add(silence),
                // A failure that no other endpoint can cure ends the pass.
                Err(CallFailure::Answered(failure)) if !failure.retryable() => return Err(failure),
                Err(CallFailure::Answered(failure)) => {
                    silences.add_answer(&self.urls[endpoint], &failure);
                    answered = Some(failure);
                }
            }
        }
        // An answer says more than silence. But if a change may have arrived somewhere, the outcome is unknown.
        match answered {
            Some(failure) if !silences.leave_unknown(effect) => Err(failure),
            _ => Err(silences.failure(effect)),
        }
    }

    async fn call_endpoint<A: DeserializeOwned>(
        &self,
        endpoint: usize,
        method: &Method,
        path: &str,
        body: Body,
    ) -> Result<A, CallFailure> {
        let (http, text) = self.fetch(endpoint, method, path, body).await.map_err(CallFailure::Silent)?;
        let foreign = || {
            let (url, text) = (self.urls[endpoint].clone(), start_of(&text));
            CallFailure::Answered(Failure::Foreign { url, http, text })
        };
        // A body that Quiver does not write comes from another server, or a proxy before it.
        if (200..300).contains(&http) {
            return serde_json::from_slice(&text).map_err(|_| foreign());
        }
        let body: ErrorBody = serde_json::from_slice(&text).map_err(|_| foreign())?;
        Err(CallFailure::Answered(Failure::Refused { http, status: Box::new(body.status) }))
    }

    /// Gets one answer of one endpoint: its HTTP status and its body, whatever they are.
    async fn fetch(&self, endpoint: usize, method: &Method, path: &str, body: Body) -> Result<(u16, Bytes), Silence> {
        let url = &self.urls[endpoint];
        // A change may take longer than a look, so only a `GET` has the shorter timeout.
        let timeout = if *method == Method::GET { self.look_timeout } else { ANSWER_TIMEOUT };
        let mut request = self.http.request(method.clone(), format!("{url}{path}")).timeout(timeout);
        if !body.bytes.is_empty() {
            request = request.header("content-type", body.content_type).body(body.bytes);
        }
        // Without a connection nothing was sent. After that, the request may have arrived.
        let silent = |error: reqwest::Error| {
            let sent = !error.is_connect() && !error.is_builder();
            let late = sent && error.is_timeout();
            let reason = if late { format!("nothing within {} s", timeout.as_secs()) } else { unanswered(&error) };
            Silence { tried: format!("{url} ({reason})"), sent, late }
        };
        let response = request.send().await.map_err(silent)?;
        let http = response.status().as_u16();
        Ok((http, response.bytes().await.map_err(silent)?))
    }
}

/// A URL with its scheme and without a slash at its end. `127.0.0.1:8001` gets `http://`.
fn whole(url: &str) -> Result<String, UnusableInput> {
    let bare = url.trim();
    let whole = if bare.contains("://") { bare.to_owned() } else { format!("http://{bare}") };
    let is_one = reqwest::Url::parse(&whole).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if is_one {
        Ok(whole.trim_end_matches('/').to_owned())
    } else {
        Err(UnusableInput(format!("--url: `{url}` is no address: write http://HOST:PORT")))
    }
}

fn start_of(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(200).collect()
}

#[cfg(test)]
mod tests;
