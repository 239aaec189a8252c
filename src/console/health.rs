//! What monitors ask, without a token: on loopback, and never about anybody.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Health;
use crate::metrics;

pub(super) fn routes(health: Arc<dyn Health>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(health)
}

async fn ready(State(health): State<Arc<dyn Health>>) -> impl IntoResponse {
    let problems = health.problems();
    if problems.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", problems.join("; ")))
}

async fn metrics_text(State(health): State<Arc<dyn Health>>) -> impl IntoResponse {
    let mut text = metrics::render();
    for (name, help, value) in health.gauges() {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    }
    text.push_str(&health.metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
