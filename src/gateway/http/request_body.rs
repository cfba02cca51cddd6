//! Bodies on their way in: how slow they may be, and how much memory all of them together may take.
//!
//! Memory is paid for as bytes arrive, never by what a request announces. A body that arrives by drops is cut, so that a
//! crowd of them holds neither memory nor connections for long.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::limits::Limits;

/// What memory is counted in.
const PIECE: usize = 4 << 10;
/// Bytes of room that are made at once for a body in several pieces, where it announces that many. Each time more room
/// is made, all that has come is copied. Room is not paid for before it is filled: until then it takes no memory of the
/// machine.
const ROOM: usize = 1 << 20;
/// After this many bytes of one body the others have their turn, even where more of it has come already.
const TURN: usize = 256 << 10;
/// Each body has this long. Beyond that it must come at least at this rate, in bytes a second.
const GRACE: Duration = Duration::from_secs(5);
const SLOWEST: u64 = 16 << 10;

/// Memory for bodies that arrive, and for answers that leave; clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    left: Arc<Semaphore>,
    /// Bytes of all of it.
    all: usize,
}

/// Memory that is taken until it is dropped.
#[derive(Debug, Default)]
pub struct HeldMemory(Vec<OwnedSemaphorePermit>);

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let pieces = (bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(pieces)), all: pieces.saturating_mul(PIECE) }
    }

    /// All of it, whether it is taken or not.
    pub fn bytes(&self) -> usize {
        self.all
    }

    /// Takes the memory that this many bytes need.
    ///
    /// # Errors
    /// [`ApiError::MemoryBudget`] where it is not there.
    pub fn taken(&self, bytes: usize) -> Result<HeldMemory, ApiError> {
        let mut taken = HeldMemory::default();
        self.take(&mut taken, 0, bytes)?;
        Ok(taken)
    }

    /// Takes what `more` bytes need beyond those that are `paid` for in `taken` already.
    fn take(&self, taken: &mut HeldMemory, paid: usize, more: usize) -> Result<(), ApiError> {
        let pieces = (paid + more).div_ceil(PIECE) - paid.div_ceil(PIECE);
        if pieces > 0 {
            let permit = Arc::clone(&self.left).try_acquire_many_owned(pieces.try_into().unwrap_or(u32::MAX));
            taken.0.push(permit.map_err(|_| ApiError::MemoryBudget)?);
        }
        Ok(())
    }
}

/// Says that a request's body is whole and paid for.
#[derive(Debug, Clone, Copy)]
struct Arrived;

/// The bytes of a body, of whatever type, and the memory that is taken for them.
///
/// # Errors
/// Where it is too large, does not arrive whole in time, or there is no memory for it.
pub async fn whole(request: Request, limits: &Limits, budget: &Budget) -> Result<(Bytes, HeldMemory), ApiError> {
    if request.extensions().get::<Arrived>().is_some() {
        return read(request.into_body(), limits, None).await;
    }
    refuse_unsent(request.headers(), limits)?;
    read(request.into_body(), limits, Some(Price::of_all(budget))).await
}

/// The bytes of a body whose first `free` bytes cost nothing, and the memory that is taken for the others. One that is larger
/// than all of `budget` gets through where it is alone: who sends it could never be told to wait.
///
/// # Errors
/// As [`whole`].
pub async fn mostly_paid(
    body: Body,
    limits: &Limits,
    budget: &Budget,
    free: usize,
) -> Result<(Bytes, HeldMemory), ApiError> {
    read(body, limits, Some(Price { budget, free, most: budget.all })).await
}

/// What a body costs.
#[derive(Clone, Copy)]
struct Price<'a> {
    budget: &'a Budget,
    /// Bytes that cost nothing.
    free: usize,
    /// Most that is paid, in bytes.
    most: usize,
}

impl<'a> Price<'a> {
    /// Each byte is paid for.
    fn of_all(budget: &'a Budget) -> Self {
        Self { budget, free: 0, most: usize::MAX }
    }

    /// Pays for `more` bytes that have come, after `before` bytes that are paid for already.
    fn pay(self, taken: &mut HeldMemory, before: usize, more: usize) -> Result<(), ApiError> {
        let cost = |bytes: usize| bytes.saturating_sub(self.free).min(self.most);
        self.budget.take(taken, cost(before), cost(before + more) - cost(before))
    }
}

/// A request whose body has arrived, and the memory that is taken for it.
///
/// # Errors
/// As [`whole`].
pub async fn arrived(request: Request, limits: &Limits, budget: &Budget) -> Result<(Request, HeldMemory), ApiError> {
    refuse_unsent(request.headers(), limits)?;
    let (mut parts, body) = request.into_parts();
    let (bytes, taken) = read(body, limits, Some(Price::of_all(budget))).await?;
    parts.extensions.insert(Arrived);
    Ok((Request::from_parts(parts, Body::from(bytes)), taken))
}

/// Refuses a body that is too large and has not been sent yet, and need not be.
fn refuse_unsent(headers: &HeaderMap, limits: &Limits) -> Result<(), ApiError> {
    match waits_for_leave(headers) && announced(headers) > limits.body_bytes as u64 {
        true => Err(ApiError::BodyTooLarge { limit: limits.body_bytes }),
        false => Ok(()),
    }
}

fn waits_for_leave(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn announced(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

async fn read(body: Body, limits: &Limits, price: Option<Price<'_>>) -> Result<(Bytes, HeldMemory), ApiError> {
    let mut gathered = Gathered::of(body.size_hint().exact());
    let (mut stream, began) = (body.into_data_stream(), Instant::now());
    let (mut total, mut taken) = (0, HeldMemory::default());
    let (mut refusal, mut thrown) = (None, 0);
    while let Ok(next) = timeout_at(due(began, total, limits), stream.next()).await {
        // At the end of the stream the body is whole, or the client gets the refusal that was found before.
        let Some(chunk) = next else {
            return refusal.map_or_else(|| Ok((gathered.whole(), taken)), Err);
        };
        let chunk: Bytes = chunk.map_err(|error| ApiError::broken_body(&error))?;
        let before = total;
        total += chunk.len();
        // A client that sends fast must not keep this thread to itself.
        if total / TURN > before / TURN {
            tokio::task::yield_now().await;
        }
        // Each byte is paid for as it comes. The limit comes first, so that a body too large is never told to wait.
        if refusal.is_none() {
            refusal = match price {
                _ if total > limits.body_bytes => Some(ApiError::BodyTooLarge { limit: limits.body_bytes }),
                Some(price) => price.pay(&mut taken, before, chunk.len()).err(),
                None => None,
            };
        }
        let Some(error) = &refusal else {
            gathered.push(chunk);
            continue;
        };
        // What is refused is read for a while, and thrown away, so that the client gets to the answer.
        (gathered, taken) = (Gathered::default(), HeldMemory::default());
        thrown += chunk.len();
        if thrown > limits.drain_bytes {
            return Err(error.clone());
        }
    }
    // Time is up. A refusal that was found before says more than that the body came slowly.
    if let Some(error) = refusal {
        return Err(error);
    }
    let reason = match began.elapsed() >= limits.body_wait {
        true => format!("it took longer than {} s", limits.body_wait.as_secs()),
        false => format!("it came at less than {} KiB a second", SLOWEST >> 10),
    };
    Err(ApiError::BodyCut { reason })
}

/// The moment by which more must come, after `total` bytes that have come.
fn due(began: Instant, total: usize, limits: &Limits) -> Instant {
    let paid_for = GRACE + Duration::from_millis(total as u64 * 1_000 / SLOWEST);
    began + paid_for.min(limits.body_wait)
}

/// What has come of a body. A body in one piece is not copied; of others the pieces are not kept, for each of them keeps
/// all of the buffer that it was read into.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: Vec<u8>,
    /// Bytes that are announced.
    announced: usize,
}

impl Gathered {
    fn of(announced: Option<u64>) -> Self {
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        Self { announced, ..Self::default() }
    }

    fn push(&mut self, chunk: Bytes) {
        // The first piece is kept as it came: a body that comes in one piece is not copied.
        if self.first.is_empty() && self.all.is_empty() {
            self.first = chunk;
            return;
        }
        let first = std::mem::take(&mut self.first);
        // The announced length is believed only up to `ROOM`, since it may be a lie.
        if self.all.is_empty() {
            self.all.reserve_exact(self.announced.min(ROOM).max(first.len() + chunk.len()));
        }
        self.all.extend_from_slice(&first);
        self.all.extend_from_slice(&chunk);
    }

    fn whole(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;

    use super::*;

    fn limits() -> Limits {
        Limits { body_bytes: 1 << 20, ..Limits::default() }
    }

    fn drip(bytes: usize, pause: Duration, count: usize) -> Body {
        Body::from_stream(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(pause).await;
            (sent < count).then(|| (Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes])), sent + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_by_drops_is_cut_and_a_slow_one_is_not() {
        let budget = Budget::new(8 << 20);
        let drops = read(drip(1, Duration::from_secs(1), 1_000), &limits(), Some(Price::of_all(&budget))).await;
        assert!(matches!(drops, Err(ApiError::BodyCut { reason }) if reason.contains("a second")));
        let silent = read(drip(0, Duration::from_secs(1_000), 1), &limits(), Some(Price::of_all(&budget))).await;
        assert!(matches!(silent, Err(ApiError::BodyCut { .. })));
        let slow = read(drip(20 << 10, Duration::from_secs(1), 40), &limits(), Some(Price::of_all(&budget))).await;
        assert_eq!(slow.unwrap().0.len(), 800 << 10);
        let more = Limits { body_bytes: 4 << 20, ..limits() };
        let long = read(drip(17 << 10, Duration::from_secs(1), 100), &more, Some(Price::of_all(&budget)));
        assert!(matches!(long.await, Err(ApiError::BodyCut { reason }) if reason.contains("longer than 60 s")));
    }

    #[tokio::test]
    async fn memory_is_paid_for_as_bytes_come_and_given_back() {
        let budget = Budget::new(64 << 10);
        let of = |bytes: usize| drip(bytes / 8, Duration::ZERO, 8);
        let (first, taken) = read(of(40 << 10), &limits(), Some(Price::of_all(&budget))).await.unwrap();
        assert_eq!((first.len(), taken.0.len()), (40 << 10, 8));
        assert!(matches!(
            read(of(40 << 10), &limits(), Some(Price::of_all(&budget))).await,
            Err(ApiError::MemoryBudget)
        ));
        assert!(
            read(of(16 << 10), &limits(), Some(Price::of_all(&budget))).await.is_ok(),
            "what is left is there for others"
        );
        drop(taken);
        assert!(read(of(40 << 10), &limits(), Some(Price::of_all(&budget))).await.is_ok());
        let announces = Request::builder().header("content-length", 1 << 20).body(Body::from("x")).unwrap();
        assert!(whole(announces, &limits(), &budget).await.is_ok(), "what is announced is not taken");
    }

    #[tokio::test]
    async fn what_is_refused_is_read_for_a_while_so_that_its_sender_gets_to_the_answer() {
        for (drain_bytes, all_is_read) in [(1 << 20, true), (100 << 10, false)] {
            let (budget, sent) = (Budget::new(64 << 10), Arc::new(AtomicUsize::new(0)));
            let counted = sent.clone();
            let chunks = (0..64).map(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from(vec![0; 4 << 10]))
            });
            let limits = Limits { drain_bytes, ..limits() };
            let refused = read(Body::from_stream(stream::iter(chunks)), &limits, Some(Price::of_all(&budget)));
            assert!(matches!(refused.await, Err(ApiError::MemoryBudget)));
            assert_eq!(sent.load(Ordering::Relaxed) == 64, all_is_read);
            assert_eq!(budget.left.available_permits(), 16, "what is thrown away holds nothing");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_small_enough_is_free_and_one_that_is_too_large_is_taken_alone() {
        let (budget, free) = (Budget::new(64 << 10), 16 << 10);
        let of = async |bytes: usize| {
            let limits = Limits { drain_bytes: 0, ..limits() };
            mostly_paid(drip(bytes / 8, Duration::ZERO, 8), &limits, &budget, free).await
        };
        let all = of(512 << 10).await.unwrap();
        assert_eq!((all.0.len(), budget.left.available_permits()), (512 << 10, 0));
        assert!(matches!(of(17 << 10).await, Err(ApiError::MemoryBudget)));
        assert!(of(16 << 10).await.is_ok(), "it costs nothing");
        drop(all);
        let held = of(17 << 10).await.unwrap();
        assert!(matches!(of(512 << 10).await, Err(ApiError::MemoryBudget)), "it is not alone");
        assert!(matches!(of(2 << 20).await, Err(ApiError::BodyTooLarge { .. } | ApiError::MemoryBudget)));
        drop(held);
        assert_eq!(budget.left.available_permits(), 16, "what was refused holds nothing");
    }

    #[tokio::test]
    async fn who_waits_for_leave_to_send_too_much_is_refused_before_it_does() {
        let request = Request::builder().header("expect", "100-continue").header("content-length", 2 << 20);
        let sends = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = whole(request.body(sends).unwrap(), &limits(), &Budget::new(1 << 20)).await;
        assert!(matches!(refused, Err(ApiError::BodyTooLarge { .. })));
    }
}
