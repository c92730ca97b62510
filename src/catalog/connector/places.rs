//! Every template of a connector and what may stand in it: settings that exist, secrets only where a
//! secret is meant to go, columns of the parent row that is in reach.

use super::{
    Ask, Connector, Dataset, HttpAsk, Kind, SettingType,
    check::with_nearest,
    http::{Auth, Probe},
    kinds::Credentials,
    template::{Fill, Template},
};
use crate::yaml::{
    decode::Cx,
    diagnostic::{Diagnostic, Place},
};

/// What may stand in a template besides settings.
#[derive(Clone, Copy)]
struct Reach<'a> {
    /// Whether it may hold a secret.
    secret: bool,
    /// The name of the row in reach, and its columns.
    row: Option<(&'a str, &'a [String])>,
}

const PLAIN: Reach<'static> = Reach {
    secret: false,
    row: None,
};
const SECRET: Reach<'static> = Reach {
    secret: true,
    row: None,
};

/// Notes every template that cannot be filled.
pub(super) fn connector(connector: &Connector, cx: &mut Cx) {
    let mut seen = Seen {
        connector,
        used: Vec::new(),
    };
    match &connector.kind {
        Kind::Http(http) => {
            seen.template(&http.base_url, PLAIN, cx);
            auth(&http.auth, &mut seen, cx);
            for (_, header) in http.headers.iter() {
                seen.template(header, SECRET, cx);
            }
            for probe in &http.probe {
                seen.probe(probe, cx);
            }
        }
        Kind::Aws(aws) => {
            if let Fill::Setting(regions) = &aws.regions {
                seen.typed(regions, SettingType::List, cx);
            }
            for template in [&aws.assume_role, &aws.external_id, &aws.endpoint]
                .into_iter()
                .flatten()
            {
                seen.template(template, PLAIN, cx);
            }
            if let Credentials::Keys(keys) = &aws.credentials {
                for template in [
                    Some(&keys.access_key_id),
                    Some(&keys.secret_access_key),
                    keys.session_token.as_ref(),
                ]
                .into_iter()
                .flatten()
                {
                    seen.template(template, SECRET, cx);
                }
            }
            for probe in &aws.probe {
                seen.probe(probe, cx);
            }
        }
        Kind::Sql(sql) => seen.template(&sql.url, SECRET, cx),
        Kind::File(file) => {
            seen.template(&file.path, PLAIN, cx);
            if let Some(inside) = &file.inside {
                seen.template(inside, PLAIN, cx);
            }
            if let Some(Fill::Setting(age)) = &file.max_age {
                seen.typed(age, SettingType::Duration, cx);
            }
        }
    }
    for dataset in &connector.datasets {
        seen.dataset(dataset, cx);
    }
    for setting in &connector.settings {
        if !seen.used.contains(&setting.name) {
            let d = Diagnostic::warning(
                "TL0419",
                &connector.place,
                format!("the setting `{}` is used nowhere", setting.name),
            );
            cx.out.push(d.help(format!(
                "write `${{{}}}` where it belongs, or leave it out",
                setting.name
            )));
        }
    }
}

fn auth(auth: &Auth, seen: &mut Seen<'_>, cx: &mut Cx) {
    let (secret, plain): (Vec<&Template>, Vec<Option<&Template>>) = match auth {
        Auth::None => return,
        Auth::Basic(basic) => (vec![&basic.username, &basic.password], vec![]),
        Auth::Bearer(token) => (vec![token], vec![]),
        Auth::ApiKey(key) => (vec![&key.value], vec![]),
        Auth::ClientCredentials(c) => (
            vec![&c.client_id, &c.client_secret],
            vec![Some(&c.token_url), c.scope.as_ref(), c.audience.as_ref()],
        ),
        Auth::Jwt(j) => (
            vec![&j.private_key],
            vec![
                Some(&j.token_url),
                Some(&j.issuer),
                j.subject.as_ref(),
                j.audience.as_ref(),
                j.scope.as_ref(),
                j.key_id.as_ref(),
            ],
        ),
        Auth::Vault(vault) => {
            let approle = vault
                .approle
                .iter()
                .flat_map(|a| [&a.role_id, &a.secret_id]);
            let kubernetes = vault.kubernetes.iter().flat_map(|k| [&k.role, &k.jwt]);
            (
                vault
                    .token
                    .iter()
                    .chain(approle)
                    .chain(kubernetes)
                    .collect(),
                vec![vault.namespace.as_ref()],
            )
        }
    };
    for template in secret {
        seen.template(template, SECRET, cx);
    }
    for template in plain.into_iter().flatten() {
        seen.template(template, PLAIN, cx);
    }
}

struct Seen<'c> {
    connector: &'c Connector,
    used: Vec<String>,
}

impl Seen<'_> {
    fn dataset(&mut self, dataset: &Dataset, cx: &mut Cx) {
        let columns: Vec<String> = dataset
            .each
            .as_ref()
            .and_then(|e| self.connector.dataset(&e.of))
            .map(|p| p.columns.iter().map(|c| c.name.clone()).collect())
            .unwrap_or_default();
        let row = dataset
            .each
            .as_ref()
            .map(|e| (e.r#as.as_str(), columns.as_slice()));
        match &dataset.ask {
            Ask::Http(ask) => self.ask(ask, row, cx),
            Ask::Call {
                body: Some(body), ..
            } => {
                for template in body.templates() {
                    self.template(template, Reach { row, ..PLAIN }, cx);
                }
            }
            _ => {}
        }
        for probe in &dataset.probe {
            self.probe(probe, cx);
        }
        if let Some(gone) = &dataset.confirm_gone {
            self.ask(&gone.ask(), Some(("key", &dataset.key)), cx);
        }
    }

    fn probe(&mut self, probe: &Probe, cx: &mut Cx) {
        if let Some(setting) = &probe.r#if {
            self.setting(setting, &setting.place, SECRET, cx);
        }
        if let Some(ask) = probe.ask() {
            self.ask(&ask, None, cx);
        }
    }

    fn ask(&mut self, ask: &HttpAsk, row: Option<(&str, &[String])>, cx: &mut Cx) {
        let reach = Reach { secret: false, row };
        if !ask.path.fixed().starts_with('/') || ask.path.fixed().contains("//") {
            let d = Diagnostic::error(
                "TL0421",
                &ask.path.place,
                format!("`{}` is not a path of this system", ask.path),
            );
            cx.out.push(d.help("a path starts with `/` and is joined to `base_url`, so that all paths can be listed"));
        }
        self.template(&ask.path, reach, cx);
        for (_, value) in &ask.query {
            self.template(value, reach, cx);
        }
        for (_, value) in &ask.headers {
            self.template(value, SECRET, cx);
        }
        for template in ask.body.iter().flat_map(|b| b.templates()) {
            self.template(template, reach, cx);
        }
    }

    fn template(&mut self, template: &Template, reach: Reach<'_>, cx: &mut Cx) {
        for name in template.settings() {
            self.setting(name, &template.place, reach, cx);
        }
        for (alias, column) in template.columns() {
            let d = match reach.row {
                // Without columns the parent is a mistake of its own, and said elsewhere.
                Some((row, columns))
                    if row == alias
                        && (columns.is_empty() || columns.iter().any(|c| c == column)) =>
                {
                    continue;
                }
                Some((row, columns)) if row == alias => {
                    let d = Diagnostic::error(
                        "TL0409",
                        &template.place,
                        format!("`{alias}` has no column `{column}`"),
                    );
                    with_nearest(d, column, columns.iter().map(String::as_str))
                }
                Some((row, _)) => Diagnostic::error(
                    "TL0409",
                    &template.place,
                    format!("there is no row `{alias}` here"),
                )
                .help(format!("the row in reach is `{row}`")),
                None => Diagnostic::error(
                    "TL0409",
                    &template.place,
                    format!("there is no row `{alias}` here"),
                )
                .help("add `each: { of: …, as: … }` to read for the rows of another dataset"),
            };
            cx.out.push(d);
        }
    }

    fn typed(&mut self, template: &Template, wanted: SettingType, cx: &mut Cx) {
        self.template(template, PLAIN, cx);
        let found = template
            .whole()
            .and_then(|name| self.connector.setting(name))
            .map(|s| s.def.r#type);
        if found.is_some_and(|found| found != wanted) {
            cx.out.push(Diagnostic::error(
                "TL0407",
                &template.place,
                format!("`{template}` is not a setting of type {wanted}"),
            ));
        }
    }

    fn setting(&mut self, name: &str, place: &Place, reach: Reach<'_>, cx: &mut Cx) {
        self.used.push(name.to_owned());
        match self.connector.setting(name) {
            None => {
                let d = Diagnostic::error("TL0407", place, format!("there is no setting `{name}`"));
                cx.out.push(with_nearest(
                    d,
                    name,
                    self.connector.settings.iter().map(|s| s.name.as_str()),
                ));
            }
            Some(setting) if setting.def.r#type == SettingType::Secret && !reach.secret => {
                let d = Diagnostic::error(
                    "TL0408",
                    place,
                    format!("the secret `{name}` would be shown here"),
                );
                cx.out.push(
                    d.help("a secret goes into `auth:`, a header, or the address of a database"),
                );
            }
            Some(_) => {}
        }
    }
}
