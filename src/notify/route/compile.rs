//! From `channels:` and `routes:` to a desk, with every mistake at its place and all at once.

use std::collections::BTreeMap;

use super::{COLUMNS, Desk, Rule, To, literals};
use crate::{
    evaluate::Predicate,
    model::{
        id::{ChannelId, SourceId},
        notice::Mode,
        people::Directory,
        span::Span,
    },
    notify::options::{Medium, Options, Route},
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Level, nearest},
    },
};

/// What applies when no route was written at all.
const DEFAULTS: &[(&str, Mode)] = &[
    (
        "kind = 'finding' AND severity IN ('high', 'critical')",
        Mode::Alert,
    ),
    ("kind = 'finding'", Mode::Digest),
];

impl Desk {
    /// Compiles the routes.
    ///
    /// # Errors
    /// Every mistake; warnings come with the desk.
    pub fn new(
        options: &Options,
        directory: &Directory,
        sources: BTreeMap<SourceId, String>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let channels: BTreeMap<ChannelId, Medium> = options
            .channels
            .iter()
            .map(|(name, channel)| (ChannelId::new(&name.text), Medium::of(channel)))
            .collect();
        let mail = options
            .channels
            .iter()
            .find(|(_, c)| Medium::of(c) == Medium::Mail)
            .map(|(name, _)| ChannelId::new(&name.text));
        let mut desk = Self {
            rules: Vec::new(),
            channels,
            mail,
            directory: directory.clone(),
            sources,
        };
        let mut out = Vec::new();
        for (name, _) in options.channels.iter() {
            if ["owner", "policy-lead", "source-owner"].contains(&name.text.as_str())
                || name.text.contains(':')
            {
                out.push(Diagnostic::error(
                    "TL0670",
                    &name.place,
                    format!(
                        "a channel cannot be called `{}`: in `to:` that means somebody",
                        name.text
                    ),
                ));
            }
        }
        out.extend(literals::unknown(&options.routes, &|column| {
            desk.values(column)
        }));
        let read: Vec<Option<Rule>> = options
            .routes
            .iter()
            .enumerate()
            .map(|(at, route)| desk.rule(at + 1, route, &mut out))
            .collect();
        desk.rules = read.into_iter().flatten().collect();
        if options.routes.is_empty() {
            desk.rules = desk.defaults();
        }
        if out.iter().any(|d| d.level == Level::Error) {
            return Err(out);
        }
        out.extend(desk.unheard(&options.routes));
        Ok((desk, out))
    }

    fn defaults(&self) -> Vec<Rule> {
        DEFAULTS
            .iter()
            .filter_map(|(text, mode)| {
                Some(Rule {
                    name: "no route is written, so owners are told".to_owned(),
                    text: Some((*text).to_owned()),
                    when: Some(Predicate::new(text, COLUMNS).ok()?),
                    to: vec![To::Owner],
                    mode: *mode,
                    resolved: Mode::Digest,
                    via: self.mail.clone(),
                    wait: Span::secs(60),
                    interval: Span::minutes(5),
                })
            })
            .collect()
    }

    fn rule(&self, number: usize, route: &Route, out: &mut Vec<Diagnostic>) -> Option<Rule> {
        // Every part is judged before one that is wrong ends the rule, so that all mistakes show.
        let when = condition(route, out);
        let via = self.via(route, out);
        let to: Vec<Option<To>> = route.to.iter().map(|to| self.to(to, route, out)).collect();
        Some(Rule {
            name: format!("route {number}"),
            text: route
                .when
                .as_ref()
                .map(|w| w.value.split_whitespace().collect::<Vec<_>>().join(" ")),
            when: when?,
            to: to.into_iter().collect::<Option<_>>()?,
            mode: route.r#as,
            resolved: route.resolved,
            via,
            wait: route.group_wait,
            interval: route.group_interval,
        })
    }

    fn via(&self, route: &Route, out: &mut Vec<Diagnostic>) -> Option<ChannelId> {
        let Some(via) = &route.via else {
            return self.mail.clone();
        };
        let id = ChannelId::new(&via.value);
        if self.channels.get(&id) == Some(&Medium::Mail) {
            return Some(id);
        }
        let d = Diagnostic::error(
            "TL0673",
            &via.place,
            format!("`{}` is not a mail channel", via.value),
        );
        let mail = self.channels.iter().filter(|(_, m)| **m == Medium::Mail);
        let known: Vec<&str> = mail.map(|(id, _)| id.as_str()).collect();
        out.push(if known.is_empty() {
            d.help("add a channel with `smtp:`")
        } else {
            d.help(format!("mail channels: {}", known.join(", ")))
        });
        None
    }

    fn to(&self, to: &Located<String>, route: &Route, out: &mut Vec<Diagnostic>) -> Option<To> {
        let text = to.value.as_str();
        let person = match text {
            "owner" => To::Owner,
            "policy-lead" => To::PolicyLead,
            "source-owner" => To::SourceOwner,
            _ if text.starts_with("team:") || text.starts_with("person:") => {
                let Some(principal) = self.directory.find(text) else {
                    out.push(self.unknown_name(to));
                    return None;
                };
                To::Principal(principal)
            }
            _ => return self.channel(to, route, out),
        };
        if self.mail.is_none() {
            out.push(
                Diagnostic::error(
                    "TL0674",
                    &to.place,
                    format!("`{text}` is told by mail, and there is no mail channel"),
                )
                .help("add a channel with `smtp:`"),
            );
        }
        Some(person)
    }

    fn channel(
        &self,
        to: &Located<String>,
        route: &Route,
        out: &mut Vec<Diagnostic>,
    ) -> Option<To> {
        let id = ChannelId::new(&to.value);
        let d = match self.channels.get(&id) {
            Some(Medium::Mail) => Diagnostic::error(
                "TL0671",
                &to.place,
                format!(
                    "`{}` is a mail channel, and a mail needs somebody to go to",
                    to.value
                ),
            )
            .help(format!(
                "write `owner`, `team:NAME` or `person:NAME`, and `via: {}`",
                to.value
            )),
            Some(_) => {
                if route.r#as == Mode::Digest {
                    let what = format!("channel `{}` has no digest; it is told at once", to.value);
                    out.push(Diagnostic::warning("TL0675", &to.place, what));
                }
                return Some(To::Channel(id));
            }
            None => self.near(
                Diagnostic::error(
                    "TL0672",
                    &to.place,
                    format!("`{}` is nobody and no channel", to.value),
                ),
                &to.value,
                &["owner", "policy-lead", "source-owner"],
            ),
        };
        out.push(d);
        None
    }

    fn unknown_name(&self, to: &Located<String>) -> Diagnostic {
        let (kind, name) = to.value.split_once(':').unwrap_or(("", &to.value));
        let d = Diagnostic::error("TL0672", &to.place, format!("there is no {kind} `{name}`"));
        let names: Vec<&str> = if kind == "team" {
            self.directory
                .teams
                .iter()
                .map(|t| t.id.value.as_str())
                .collect()
        } else {
            self.directory
                .people
                .iter()
                .map(|p| p.id.value.as_str())
                .collect()
        };
        match nearest(name, names) {
            Some(near) => d.help(format!("did you mean `{kind}:{near}`?")),
            None => d,
        }
    }

    fn near(&self, d: Diagnostic, text: &str, words: &[&str]) -> Diagnostic {
        let known = self
            .channels
            .keys()
            .map(ChannelId::as_str)
            .chain(words.iter().copied());
        match nearest(text, known) {
            Some(near) => d.help(format!("did you mean `{near}`?")),
            None => d.help("write `owner`, `policy-lead`, `source-owner`, `team:NAME`, `person:NAME`, or the name of a channel"),
        }
    }
}

/// The condition of a route: nothing inside for one that matches everything, nothing at all for one
/// that is wrong.
#[expect(
    clippy::option_option,
    reason = "no condition and a wrong one are two things"
)]
fn condition(route: &Route, out: &mut Vec<Diagnostic>) -> Option<Option<Predicate>> {
    let Some(text) = &route.when else {
        return Some(None);
    };
    match Predicate::new(&text.value, COLUMNS) {
        Ok(predicate) => Some(Some(predicate)),
        Err(problem) => {
            let place = text.inside(problem.line.max(1), problem.column.max(1));
            let d = Diagnostic::error(problem.code, &place, problem.what);
            out.push(match problem.help {
                Some(help) => d.help(help),
                None => d,
            });
            None
        }
    }
}
