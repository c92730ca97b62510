//! TLS, in one place: ring is the provider of the whole process, whatever else is compiled in.
//! Certificates and keys are read anew for each collection.

use std::sync::Once;

use secrecy::{ExposeSecret as _, SecretString};

use super::error::{Error, Result};
use crate::catalog::connector::http::{Timeout, Tls};

static PROVIDER: Once = Once::new();

/// Makes ring the provider of cryptography for TLS. Asked by everything that opens a connection;
/// only the first call does anything.
pub fn provider() {
    PROVIDER.call_once(|| {
        // An error means that another part of the process was first, and then there is one all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A client with our trust, our certificate and our patience. It follows no redirect: whoever uses it
/// looks at where one leads first.
pub fn client(tls: &Tls, timeout: &Timeout) -> Result<reqwest::Client> {
    provider();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.connect.to_std())
        .timeout(timeout.request.to_std())
        .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &tls.ca_file {
        let at = || format!("authority file `{}`", path.display());
        let pem = std::fs::read(path).map_err(|e| Error::Input {
            at: at(),
            source: e.into(),
        })?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| Error::Input {
                at: at(),
                source: e.into(),
            })?;
        if certificates.is_empty() {
            return Err(Error::Settings(format!("{} holds no certificate", at())));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(identity) = identity(tls)? {
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| Error::Input {
        at: "the TLS settings".to_owned(),
        source: e.into(),
    })
}

fn identity(tls: &Tls) -> Result<Option<reqwest::Identity>> {
    let (Some(path), Some(key)) = (&tls.cert_file, &tls.key_file) else {
        return Ok(None);
    };
    let at = || format!("certificate file `{}`", path.display());
    let certificate = std::fs::read_to_string(path).map_err(|e| Error::Input {
        at: at(),
        source: e.into(),
    })?;
    let key = key.read()?;
    let pem = SecretString::from(format!("{certificate}\n{}\n", key.expose_secret()));
    // The reason would quote what it read, and that holds the key.
    let identity = reqwest::Identity::from_pem(pem.expose_secret().as_bytes())
        .map_err(|_| Error::Settings(format!("{} and its key cannot be used together", at())))?;
    Ok(Some(identity))
}
