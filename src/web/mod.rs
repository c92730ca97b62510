//! The HTTP side of the daemon: health, readiness and metrics. Serves what it is told by a
//! [`Probe`]; it reads no table itself and changes nothing on a GET.

pub mod options;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use options::Options;

/// One thing that must hold for the daemon to be ready.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is looked at: `database`, `scheduler`.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// Why not, or a figure.
    pub detail: String,
}

/// What the pages ask of the daemon.
#[async_trait::async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Everything that must hold for the daemon to be ready.
    async fn ready(&self) -> Vec<Check>;

    /// All metrics in the text format of Prometheus, version 0.0.4; nothing when they cannot be read.
    async fn metrics(&self) -> Option<String>;
}

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {listen}; if another program has the address, choose another with `web.listen`"
    )]
    Listen {
        /// The address of `web.listen`.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the web server ended: {0}")]
    Serve(#[from] std::io::Error),
}

/// Opens the address, so that a wrong one is known before anything else starts.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(listen)
        .await
        .map_err(|source| Error::Listen { listen, source })
}

/// Serves until `stop` is cancelled, then lets open requests end.
///
/// # Errors
/// When the server ends by itself.
pub async fn serve(
    listener: TcpListener,
    probe: Arc<dyn Probe>,
    stop: CancellationToken,
) -> Result<(), Error> {
    axum::serve(listener, router(probe))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await?;
    Ok(())
}

/// All routes.
pub fn router(probe: Arc<dyn Probe>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probe)
}

async fn ready(State(probe): State<Arc<dyn Probe>>) -> Response {
    let checks = probe.ready().await;
    let status = if checks.iter().all(|c| c.ok) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, no_store(), Json(checks)).into_response()
}

async fn metrics(State(probe): State<Arc<dyn Probe>>) -> Response {
    let text = (
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    );
    // No figures and figures of nothing are two things.
    let (status, body) = match probe.metrics().await {
        Some(body) => (StatusCode::OK, body),
        None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    let headers = [text, (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

fn no_store() -> [(HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
