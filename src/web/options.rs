//! What a user writes about the HTTP side: `web:` of `tripline.yaml`.

use std::net::{Ipv4Addr, SocketAddr};

use crate::record;

record! {
    /// The HTTP side of the daemon.
    pub struct Options {
        /// Where to listen. This machine only, unless said otherwise.
        listen: SocketAddr = Options::default().listen,
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)),
        }
    }
}
