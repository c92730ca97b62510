//! What a user writes about the HTTP side: `web:` of `tripline.yaml`.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{
    record,
    yaml::{decode::Cx, diagnostic::Diagnostic, tree::Node},
};

record! {
    /// The HTTP side of the daemon.
    pub struct Options {
        /// Where to listen. This machine only, unless said otherwise.
        listen: SocketAddr = Options::default().listen,
    }
    check(check_options)
}

fn check_options(options: &Options, node: &Node, cx: &mut Cx) {
    if !options.listen.ip().is_loopback() {
        let what = format!(
            "whoever reaches {} reads the figures: nobody has to log in",
            options.listen
        );
        cx.out.push(
            Diagnostic::warning("TL0661", &node.place, what)
                .help("listen on this machine and let a proxy ask who comes, or keep others away by the network"),
        );
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8420)),
        }
    }
}
