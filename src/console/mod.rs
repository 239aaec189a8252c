//! Admin API: health, readiness and metrics. The console comes with the approvals.
//!
//! Listens on its own address, loopback only, and never on the one agents use. Must never show arguments, credentials
//! or results.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics;

/// What the admin API asks the rest of the product.
pub trait Health: Send + Sync {
    /// Why calls cannot be served right now; empty when they can.
    fn problems(&self) -> Vec<String>;

    /// Gauges of this moment: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// More metrics, in the text format of Prometheus.
    fn metrics(&self) -> String;
}

/// Serves the admin API until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Arc<dyn Health>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(health);
    axum::serve(listener, routes).with_graceful_shutdown(stop).await
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
