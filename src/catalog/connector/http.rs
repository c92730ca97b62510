//! How a connector reaches a system over HTTP: address, who we are, patience, limits, and the probe
//! that proves what we can see.

use serde_json::{Map, Value, json};

use super::{
    path::Path,
    template::{Body, Template},
};
use crate::{
    catalog::secret::Secret,
    model::{size::Size, span::Span},
    record, tagged,
    yaml::{
        decode::{Cx, Decode, Located, from_text},
        diagnostic::Diagnostic,
        tree::Node,
        values::Named,
    },
};

record! {
    /// A system that is read over HTTP.
    pub struct Http {
        /// Base address; paths of datasets are joined to it.
        base_url: Template,
        /// How we say who we are. Left out when all the settings it needs are left out.
        auth: Auth = Auth::None,
        /// Headers of every request.
        headers: Named<Template> = Named::default(),
        /// TLS.
        tls: Tls = Tls::default(),
        /// How long we wait.
        timeout: Timeout = Timeout::default(),
        /// How fast we ask.
        rate: Rate = Rate::default(),
        /// When we ask again.
        retry: Retry = Retry::default(),
        /// The longest body, after decompression: 32MiB by default.
        max_body: Size = Size::mebibytes(32),
        /// Hosts that next-links and redirects may lead to. By default only the host of `base_url`.
        allow_hosts: Option<Vec<String>>,
        /// Proof that we see what we think we see; runs before the datasets.
        probe: Vec<Probe> = Vec::new(),
    }
}

tagged! {
    /// How we say who we are.
    pub enum Auth {
        /// We do not.
        None = "none";
        /// User name and password.
        Basic(Basic) = "basic",
        /// A token in the `Authorization` header.
        Bearer(Template) = "bearer",
        /// A key in a header or in the query.
        ApiKey(ApiKey) = "api_key",
        /// OAuth 2.0 client credentials.
        ClientCredentials(ClientCredentials) = "oauth2_client_credentials",
        /// A signed assertion (RS256) that is exchanged for a token: Google service accounts, GitHub Apps.
        Jwt(Jwt) = "oauth2_jwt",
        /// A login to Vault or OpenBao.
        Vault(Vault) = "vault",
    }
}

record! {
    /// User name and password.
    pub struct Basic {
        /// User name.
        username: Template,
        /// Password.
        password: Template,
    }
}

record! {
    /// A key in a header or in the query.
    pub struct ApiKey {
        /// The header that carries it.
        header: Option<String>,
        /// The query parameter that carries it.
        query: Option<String>,
        /// The key, with what the system wants before it: `Token ${key}`.
        value: Template,
    }
    check(one_place_for_the_key)
}

record! {
    /// OAuth 2.0 client credentials (RFC 6749 §4.4).
    pub struct ClientCredentials {
        /// Where tokens are given.
        token_url: Template,
        /// Our id.
        client_id: Template,
        /// Our secret.
        client_secret: Template,
        /// What we ask for.
        scope: Option<Template>,
        /// For servers that want one.
        audience: Option<Template>,
    }
}

record! {
    /// A signed assertion that is exchanged for a token.
    pub struct Jwt {
        /// Where the assertion is exchanged.
        token_url: Template,
        /// PEM of our RSA key.
        private_key: Template,
        /// Who we are: client e-mail of a service account, id of an app.
        issuer: Template,
        /// Whom the token is for, if not the issuer.
        subject: Option<Template>,
        /// Who reads the assertion: the `token_url` by default.
        audience: Option<Template>,
        /// What we ask for.
        scope: Option<Template>,
        /// The id of the key.
        key_id: Option<Template>,
        /// How the assertion is exchanged.
        exchange: Exchange = Exchange::Grant,
        /// Where the token is in the answer.
        token: Option<Path>,
    }
}

crate::choice! {
    /// How an assertion becomes a token.
    pub enum Exchange {
        /// `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523): Google.
        Grant = "grant",
        /// The assertion is the bearer of a POST: GitHub Apps.
        Bearer = "bearer",
    }
}

record! {
    /// A login to Vault or OpenBao.
    pub struct Vault {
        /// The namespace.
        namespace: Option<Template>,
        /// A token that we hold.
        token: Option<Template>,
        /// Role id and secret id.
        approle: Option<AppRole>,
        /// The service account of the pod.
        kubernetes: Option<Kubernetes>,
    }
    check(one_login)
}

record! {
    /// Role id and secret id.
    pub struct AppRole {
        /// Where the method is mounted.
        mount: String = "approle".to_owned(),
        /// Role id.
        role_id: Template,
        /// Secret id.
        secret_id: Template,
    }
}

record! {
    /// The service account of the pod.
    pub struct Kubernetes {
        /// Where the method is mounted.
        mount: String = "kubernetes".to_owned(),
        /// The role to take.
        role: Template,
        /// The token of the service account.
        jwt: Template,
    }
}

record! {
    /// TLS: whom we trust, and with which certificate we show who we are.
    #[derive(Default)]
    pub struct Tls {
        /// Authorities to trust beside those of the system (PEM).
        ca_file: Option<std::path::PathBuf>,
        /// Our certificate (PEM), for mutual TLS.
        cert_file: Option<std::path::PathBuf>,
        /// Its key (PEM).
        key_file: Option<Secret>,
    }
    check(certificate_with_key)
}

record! {
    /// How long we wait.
    pub struct Timeout {
        /// For a connection.
        connect: Span = Span::secs(5),
        /// For one answer with its body.
        request: Span = Span::secs(30),
        /// For a whole collection of a source.
        collection: Span = Span::minutes(10),
    }
}

impl Default for Timeout {
    fn default() -> Self {
        Self {
            connect: Span::secs(5),
            request: Span::secs(30),
            collection: Span::minutes(10),
        }
    }
}

record! {
    /// How fast we ask.
    pub struct Rate {
        /// Requests per second.
        per_second: Option<f64>,
        /// Requests at the same time.
        concurrency: u32 = 4,
    }
    check(some_rate)
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: None,
            concurrency: 4,
        }
    }
}

record! {
    /// When we ask again. Only reads are sent, so each may be sent again.
    pub struct Retry {
        /// How often a request is sent at most.
        attempts: u32 = 5,
        /// The first and the longest pause; each pause is twice the one before, with some chance in it.
        backoff: Backoff = Backoff::default(),
        /// Statuses that are worth another try.
        statuses: Vec<u16> = vec![429, 500, 502, 503, 504],
        /// How long a `Retry-After` is obeyed; a longer one makes the collection partial.
        max_wait: Span = Span::minutes(2),
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            backoff: Backoff::default(),
            statuses: vec![429, 500, 502, 503, 504],
            max_wait: Span::minutes(2),
        }
    }
}

/// The first and the longest pause between two tries: `500ms..30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub first: Span,
    /// The longest.
    pub longest: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Span::millis(500),
            longest: Span::secs(30),
        }
    }
}

impl std::str::FromStr for Backoff {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write the first and the longest pause: `500ms..30s`";
        let (first, longest) = text.split_once("..").ok_or(wrong)?;
        let found = Self {
            first: first.parse().map_err(|_| wrong)?,
            longest: longest.parse().map_err(|_| wrong)?,
        };
        if found.first <= found.longest {
            Ok(found)
        } else {
            Err(wrong)
        }
    }
}

impl Decode for Backoff {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        from_text(node, "two durations such as `500ms..30s`", cx)
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string", "pattern": r"^.+\.\..+$" })
    }
}

record! {
    /// A question whose answer proves that we see what we think we see. A wrong answer is lost
    /// visibility, never an empty source.
    pub struct Probe {
        /// Asked only when the source sets this setting.
        r#if: Option<Located<String>>,
        /// Asked with GET.
        get: Option<Template>,
        /// Asked with POST.
        post: Option<Template>,
        /// Asked with LIST.
        list: Option<Template>,
        /// Query of the address.
        query: Named<Template> = Named::default(),
        /// Headers of this request.
        headers: Named<Template> = Named::default(),
        /// Body as JSON.
        body: Option<Body>,
        /// What must hold; by default only that the answer is a success.
        require: Option<Require>,
        /// Who we are for the source; when this changes, what we see may have changed.
        identity: Option<Path>,
    }
    check(one_way_to_ask)
}

record! {
    /// What the answer to a probe must be.
    pub struct Require {
        /// The value in the body.
        path: Option<Path>,
        /// The header.
        header: Option<String>,
        /// It is this.
        equals: Option<Value>,
        /// It is a list with this in it, or a text with this in it.
        contains: Option<Value>,
        /// It is a text that fits this regular expression as a whole.
        matches: Option<String>,
    }
    check(one_requirement)
}

fn exactly_one(given: &[(&'static str, bool)], what: &str, node: &Node, cx: &mut Cx) {
    let names: Vec<String> = given.iter().map(|(n, _)| format!("`{n}`")).collect();
    if given.iter().filter(|(_, g)| *g).count() != 1 {
        cx.out.push(Diagnostic::error(
            "TL0105",
            &node.place,
            format!("{what} needs exactly one of {}", names.join(", ")),
        ));
    }
}

fn one_place_for_the_key(key: &ApiKey, node: &Node, cx: &mut Cx) {
    exactly_one(
        &[
            ("header", key.header.is_some()),
            ("query", key.query.is_some()),
        ],
        "an `api_key`",
        node,
        cx,
    );
}

fn one_login(vault: &Vault, node: &Node, cx: &mut Cx) {
    let given = [
        ("token", vault.token.is_some()),
        ("approle", vault.approle.is_some()),
        ("kubernetes", vault.kubernetes.is_some()),
    ];
    exactly_one(&given, "a `vault` login", node, cx);
}

fn certificate_with_key(tls: &Tls, node: &Node, cx: &mut Cx) {
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0404",
                &node.place,
                "mutual TLS needs a certificate and its key",
            )
            .help("give both `cert_file:` and `key_file:`, or neither"),
        );
    }
}

fn some_rate(rate: &Rate, node: &Node, cx: &mut Cx) {
    let fine = rate.concurrency > 0 && rate.per_second.is_none_or(|r| r.is_finite() && r > 0.0);
    if !fine {
        cx.out.push(Diagnostic::error(
            "TL0404",
            &node.place,
            "a rate is more than nothing",
        ));
    }
}

fn one_way_to_ask(probe: &Probe, node: &Node, cx: &mut Cx) {
    let given = [
        ("get", probe.get.is_some()),
        ("post", probe.post.is_some()),
        ("list", probe.list.is_some()),
    ];
    exactly_one(&given, "a probe", node, cx);
}

fn one_requirement(require: &Require, node: &Node, cx: &mut Cx) {
    exactly_one(
        &[
            ("path", require.path.is_some()),
            ("header", require.header.is_some()),
        ],
        "`require`",
        node,
        cx,
    );
    let given = [
        ("equals", require.equals.is_some()),
        ("contains", require.contains.is_some()),
        ("matches", require.matches.is_some()),
    ];
    exactly_one(&given, "`require`", node, cx);
    if let Some(Err(error)) = require.matches.as_deref().map(regex::Regex::new) {
        cx.out.push(
            Diagnostic::error(
                "TL0403",
                &node.place,
                "`matches` is not a regular expression",
            )
            .help(error.to_string().lines().last().unwrap_or_default()),
        );
    }
}
