//! Requests are counted here, with their times, by route and status for `/metrics`, and of the last minute for `/stats`.
//!
//! Comes in: one entry for each answered request, and this node's replicas when someone looks. Goes out: Prometheus'
//! text format. Other rooms count through the `metrics` facade; what they count appears here too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use raft_groups::{GroupStatus, Role};

use super::rolling_window::RollingWindow;
use super::route_class::Class;
use crate::routing::NodeReport;

/// Upper edges of the histograms of seconds.
const SECONDS: [f64; 16] =
    [0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// The exporter gathers samples until it is told to fold them; this many requests are few enough to keep.
const UPKEEP_EVERY: u64 = 4_096;

/// The counts of one router.
#[derive(Default)]
pub struct Metrics {
    /// Upserts and deletes.
    pub writes: RollingWindow,
    /// Searches, of which a batch counts as one.
    pub searches: RollingWindow,
    /// Answers of 500 and above since the start.
    pub errors: AtomicU64,
    answered: AtomicU64,
}

impl Metrics {
    /// Counts one answered request; `class` is that of its route, if it met one.
    pub fn count(&self, class: Option<Class>, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // The last minute's rates are by class, whatever the path is called.
        if status.is_server_error() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        match class {
            Some(Class::Write) => self.writes.record(took),
            Some(Class::Search) => self.searches.record(took),
            Some(Class::Status | Class::Admin | Class::Read) | None => {}
        }
        // Prometheus gets everything by route and status.
        let labels =
            [("method", verb(method).to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
        counter!("quiver_http_requests_total", &labels).increment(1);
        histogram!("quiver_http_request_seconds", &labels).record(took.as_secs_f64());
        // Upkeep folds recorded samples together. Without it they pile up while nobody asks for `/metrics`.
        if self.answered.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1 {
            recorder().run_upkeep();
        }
    }

    /// Everything counted, with this node's replicas as they are now, in Prometheus' text format.
    pub fn render(&self, report: Option<&NodeReport>) -> String {
        if let Some(report) = report {
            gauge_node(report);
        }
        recorder().render()
    }
}

/// Starts the recorder of this process; what was counted before is lost. Idempotent.
pub fn start() {
    recorder();
}

fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        // There is one recorder in a process, whatever routers there are.
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let recorder = builder.expect("the list of edges is not empty").build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder runs in this process; /metrics stays empty");
        }
        handle
    })
}

/// Methods are the client's to invent; labels are not.
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        // A client may invent methods, and each label is kept for as long as the process runs.
        _ => "other",
    }
}

fn gauge_node(report: &NodeReport) {
    gauge!("quiver_uptime_seconds").set(report.uptime_seconds as f64);
    gauge!("quiver_memory_bytes").set(report.memory_bytes as f64);
    gauge!("quiver_disk_bytes").set(report.disk_bytes as f64);
    gauge!("quiver_map_epoch").set(report.epoch as f64);
    gauge!("quiver_quarantined_replicas").set(report.quarantined.len() as f64);
    // Each replica has gauges of its group, and of its points and their index.
    report.meta.iter().for_each(gauge_group);
    for replica in &report.replicas {
        gauge_group(&replica.status);
        let of_group = |name: &'static str, value: u64| {
            gauge!(name, "group" => replica.status.group.0.to_string()).set(value as f64);
        };
        of_group("quiver_group_points", replica.points);
        of_group("quiver_group_indexed_vectors", replica.index.indexed);
        of_group("quiver_group_vectors_waiting_for_index", replica.index.waiting);
        of_group("quiver_group_dead_vectors_in_index", replica.index.dead);
    }
}

fn gauge_group(status: &GroupStatus) {
    let group = status.group.0.to_string();
    let set = |name: &'static str, value: f64| gauge!(name, "group" => group.clone()).set(value);
    // Each role has a gauge that is 0 or 1, so that a change of role shows.
    for (role, name) in [
        (Role::Leader, "leader"),
        (Role::Follower, "follower"),
        (Role::Learner, "learner"),
        (Role::Candidate, "candidate"),
    ] {
        let is = f64::from(u8::from(status.role == role));
        gauge!("quiver_group_role", "group" => group.clone(), "role" => name).set(is);
    }
    set("quiver_group_term", status.term as f64);
    set("quiver_group_last_log", status.last_log as f64);
    set("quiver_group_committed", status.committed as f64);
    set("quiver_group_applied", status.applied as f64);
    set("quiver_group_lag", status.committed.saturating_sub(status.applied) as f64);
    set("quiver_group_stopped", f64::from(u8::from(status.stopped.is_some())));
    if let Some(contact) = status.leader_contact {
        set("quiver_group_leader_contact_seconds", contact.as_secs_f64());
    }
    // Only a leader knows how far the others are.
    if status.role == Role::Leader {
        for (node, matched) in &status.matched {
            let behind = status.last_log.saturating_sub(*matched) as f64;
            gauge!("quiver_group_replica_lag", "group" => group.clone(), "node" => node.to_string()).set(behind);
        }
    }
}
