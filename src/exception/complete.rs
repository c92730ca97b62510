//! What a request must say before anybody spends time on it. Everything that it lacks is told at once, each with
//! the field and how to mend it; only a complete request moves on.

use serde::{Deserialize, Serialize};

use super::{
    compensation, typed,
    wording::{generic, words},
};
use crate::{
    choice,
    model::{
        control::{Control, Waivable},
        exception::Kind,
        id::{ControlId, SubjectId},
        people::{Directory, Principal},
        plain,
        policy::Policy,
        request::Request,
        rules::{ExceptionRules, Indefinite},
        span::Span,
    },
};

choice! {
    /// Why a field is not enough.
    pub enum Lack {
        /// It is not there.
        Missing = "missing",
        /// It says too little.
        TooShort = "too_short",
        /// It says what could be said of anything.
        Generic = "generic",
        /// It names something that is not there.
        Unknown = "unknown",
        /// It is not permitted.
        NotPermitted = "not_permitted",
        /// It goes beyond a limit of the policy.
        BeyondLimit = "beyond_limit",
        /// Nothing takes the place of the safeguard.
        ReplacesNothing = "replaces_nothing",
        /// It holds characters that hide what it says.
        Hidden = "hidden",
        /// It asks for no end: that is a question to the policy.
        Indefinite = "indefinite",
        /// It is not of the type that it should be.
        WrongType = "wrong_type",
        /// It is there more than once.
        Twice = "twice",
        /// Evidence cannot be looked at now, so that nobody can tell.
        CannotTell = "cannot_tell",
        /// Another exception in force speaks of it already.
        AlreadyExcepted = "already_excepted",
    }
}

/// Something that a request lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The field.
    pub field: String,
    /// In what way.
    pub lack: Lack,
    /// What is missing and how to mend it, in a sentence.
    pub say: String,
}

/// What a request is held against.
#[expect(missing_debug_implementations, reason = "it holds functions")]
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// Its policy.
    pub policy: &'a Policy,
    /// The rules of that.
    pub rules: &'a ExceptionRules,
    /// People and teams.
    pub directory: &'a Directory,
    /// The controls that there are.
    pub controls: &'a dyn Fn(&ControlId) -> Option<std::sync::Arc<Control>>,
    /// Whether evidence shows a subject to a control, or why nobody can tell now.
    pub seen: &'a dyn Fn(&ControlId, &SubjectId) -> Result<bool, String>,
    /// The instant.
    pub now: chrono::DateTime<chrono::Utc>,
}

/// Everything that a request lacks, in the order of its fields; nothing when it is complete.
pub fn lacks(request: &Request, against: &Against<'_>) -> Vec<Missing> {
    let mut out = Out::default();
    out.plain(request);
    out.texts(request, against.rules);
    out.people(request, against.directory);
    out.scope(request, against);
    out.time(request, against);
    out.mitigations(request, against);
    out.0.extend(typed::misfits(&request.facets));
    out.0
}

#[derive(Default)]
struct Out(Vec<Missing>);

impl Out {
    fn add(&mut self, field: &str, lack: Lack, say: impl Into<String>) {
        self.0.push(Missing {
            field: field.to_owned(),
            lack,
            say: say.into(),
        });
    }

    /// No string of a request hides what it says from whoever decides it.
    fn plain(&mut self, request: &Request) {
        for (field, hidden) in plain::hidden_in(&serde_json::json!(request)) {
            let what = plain::say(&field, hidden);
            self.add(&field, Lack::Hidden, what);
        }
    }

    fn texts(&mut self, request: &Request, rules: &ExceptionRules) {
        let texts: [(&str, Option<&String>, &str); 6] = [
            (
                "title",
                request.title.as_ref(),
                "say in a few words what is asked for",
            ),
            (
                "business_purpose",
                request.business_purpose.as_ref(),
                "say what it is good for, with what is at stake",
            ),
            (
                "impact_if_denied",
                request.impact_if_denied.as_ref(),
                "say what happens without it, in numbers where there are some",
            ),
            (
                "alternatives",
                request.alternatives.as_ref(),
                "say what else was tried and why it does not do",
            ),
            (
                "risk_introduced",
                request.risk_introduced.as_ref(),
                "say what it puts at risk that the policy protects",
            ),
            (
                "closure_plan",
                request.closure_plan.as_ref(),
                "say how and when it will no longer be needed",
            ),
        ];
        for (field, text, mend) in texts {
            let Some(text) = text else {
                self.add(
                    field,
                    Lack::Missing,
                    format!("`{field}` is missing: {mend}"),
                );
                continue;
            };
            if plain::hidden(text).is_some() {
                continue;
            }
            let words = words(text);
            let least = rules
                .completeness
                .min_words
                .get(field)
                .copied()
                .unwrap_or(1);
            if let Some(phrase) = generic(text, rules).filter(|_| field != "title") {
                let what =
                    format!("`{field}` says \"{phrase}\", which could be said of anything: {mend}");
                self.add(field, Lack::Generic, what);
            } else if words < least as usize {
                let what = format!(
                    "`{field}` has {words} words, and this policy asks for {least}: {mend}"
                );
                self.add(field, Lack::TooShort, what);
            }
        }
        if request.reason_code.is_none() {
            self.add(
                "reason_code",
                Lack::Missing,
                "`reason_code` is missing: say why the policy cannot be followed",
            );
        }
        if request.risk.is_none() {
            let what = "`risk` is missing: rate likelihood and impact without the conditions and with them";
            self.add("risk", Lack::Missing, what);
        }
        match &request.category {
            None => self.add(
                "category",
                Lack::Missing,
                format!("`category` is missing: {}", categories(rules)),
            ),
            Some(name) => match rules.categories.iter().find(|c| c.id == *name) {
                None => self.add(
                    "category",
                    Lack::Unknown,
                    format!("there is no category `{name}`: {}", categories(rules)),
                ),
                Some(c)
                    if !c.provisions.is_empty()
                        && !c.provisions.contains(&request.provision.provision) =>
                {
                    let what = format!(
                        "`{name}` is not for `{}`: {}",
                        request.provision,
                        categories(rules)
                    );
                    self.add("category", Lack::NotPermitted, what);
                }
                Some(_) => {}
            },
        }
    }

    fn people(&mut self, request: &Request, directory: &Directory) {
        for (field, name) in [("requester", &request.requester), ("owner", &request.owner)] {
            match name {
                None => self.add(
                    field,
                    Lack::Missing,
                    format!("`{field}` is missing: name a person"),
                ),
                Some(name) => self.person(field, name, directory),
            }
        }
        if let Some(name) = &request.backup_owner {
            self.person("backup_owner", name, directory);
        }
        match request.beneficiary_team.as_deref() {
            None => self.add(
                "beneficiary_team",
                Lack::Missing,
                "`beneficiary_team` is missing: name the team whose work it serves",
            ),
            Some(name)
                if !matches!(
                    directory.find(&format!("team:{name}")),
                    Some(Principal::Team(_))
                ) =>
            {
                self.add(
                    "beneficiary_team",
                    Lack::Unknown,
                    format!("there is no team `{name}`"),
                );
            }
            Some(_) => {}
        }
        if request.monitors.is_empty() {
            self.add(
                "monitors",
                Lack::Missing,
                "`monitors` is missing: name who watches it while it is active",
            );
        }
        for name in &request.monitors {
            if directory.find(name).is_none() {
                self.add(
                    "monitors",
                    Lack::Unknown,
                    format!("nobody is called `{name}`"),
                );
            }
        }
    }

    fn person(&mut self, field: &str, name: &str, directory: &Directory) {
        if !matches!(directory.find(name), Some(Principal::Person(_))) {
            self.add(
                field,
                Lack::Unknown,
                format!("`{field}` is a person, and nobody is called `{name}`"),
            );
        }
    }

    fn scope(&mut self, request: &Request, against: &Against<'_>) {
        if against
            .policy
            .provision(&request.provision.provision)
            .is_none()
        {
            self.add(
                "policy",
                Lack::Unknown,
                format!("there is no clause `{}`", request.provision),
            );
        }
        if request.controls.is_empty() {
            self.add(
                "controls",
                Lack::Missing,
                "`controls` is missing: name the controls that fail because of it",
            );
        }
        for name in &request.controls {
            let id = ControlId::new(name);
            let control = (against.controls)(&id);
            let waivable = |c: &Control| c.exceptions != Waivable::Never;
            match control {
                None => self.add(
                    "controls",
                    Lack::Unknown,
                    format!("there is no control `{name}`"),
                ),
                Some(c) if c.policy != request.provision => {
                    let what = format!(
                        "`{name}` enforces `{}`, not `{}`",
                        c.policy, request.provision
                    );
                    self.add("controls", Lack::NotPermitted, what);
                }
                Some(c) if !waivable(&c) => {
                    self.add(
                        "controls",
                        Lack::NotPermitted,
                        format!("`{name}` may never be waived"),
                    );
                }
                Some(_) => {}
            }
        }
        for (field, names) in [
            ("controls", &request.controls),
            ("scope", &request.subjects),
        ] {
            for (n, name) in names.iter().enumerate() {
                if names.iter().take(n).any(|before| before == name) {
                    self.add(field, Lack::Twice, format!("`{name}` is named twice"));
                }
            }
        }
        if request.subjects.is_empty() {
            let what = "`scope.subjects` is missing: name exactly where the deviation happens (`tripline findings` shows the ids)";
            self.add("scope", Lack::Missing, what);
        }
        for name in &request.subjects {
            if name.contains(['*', '%', '?']) {
                let what = format!(
                    "`{name}` is a pattern: an exception names each subject, and a new match is proposed, never covered"
                );
                self.add("scope", Lack::NotPermitted, what);
                continue;
            }
            let subject = SubjectId::from(name.as_str());
            let controls = request.controls.iter().map(ControlId::new);
            let known = controls.filter(|c| (against.controls)(c).is_some());
            let seen: Vec<Result<bool, String>> =
                known.map(|c| (against.seen)(&c, &subject)).collect();
            if let Some(Err(why)) = seen.iter().find(|s| s.is_err()) {
                let what = format!(
                    "`{name}` cannot be looked at now, because {why}; hand it in again when it can be"
                );
                self.add("scope", Lack::CannotTell, what);
            } else if !seen.is_empty() && seen.iter().all(|s| *s == Ok(false)) {
                let what = format!(
                    "nothing runs as `{name}`: none of the controls sees it in today's evidence"
                );
                self.add("scope", Lack::Unknown, what);
            }
        }
    }

    fn time(&mut self, request: &Request, against: &Against<'_>) {
        let limits = &against.rules.limits;
        let begin = request.not_before.unwrap_or(against.now);
        match request.expires_at {
            None => {
                let what = match limits.indefinite {
                    Indefinite::PolicyReview => {
                        "it asks for no end: that is a question to the policy, not an exception; give `expires_at`, or ask for a review of the policy"
                    }
                    Indefinite::Refuse => {
                        "`expires_at` is missing: nothing is excepted without an end"
                    }
                };
                self.add("expires_at", Lack::Indefinite, what);
            }
            Some(end) if end <= begin || end <= against.now => {
                self.add(
                    "expires_at",
                    Lack::NotPermitted,
                    "it would be over before it begins",
                );
            }
            Some(end) if end - begin > limits.max_duration.to_delta() => {
                let asked = Span::millis((end - begin).num_milliseconds().unsigned_abs());
                let asked = Span::days(asked.to_delta().num_hours().unsigned_abs().div_ceil(24));
                let what = format!(
                    "it asks for {asked}, and the policy permits at most {}",
                    limits.max_duration
                );
                self.add("expires_at", Lack::BeyondLimit, what);
            }
            Some(_) => {}
        }
    }

    fn mitigations(&mut self, request: &Request, against: &Against<'_>) {
        let rules = against.rules;
        if request.kind == Kind::Compensated && request.conditions.is_empty() {
            let known: Vec<&str> = rules.mitigations.keys().map(String::as_str).collect();
            let what = format!(
                "nothing takes the place of what is not done: add `conditions`, for example one of {}",
                known.join(", ")
            );
            self.add("conditions", Lack::ReplacesNothing, what);
        }
        for (n, condition) in request.conditions.iter().enumerate() {
            let field = format!("conditions[{n}]");
            let against = (rules, against.directory);
            self.0
                .extend(compensation::lacks(&field, condition, against));
        }
        for name in compensation::twice(&request.conditions) {
            let what = format!(
                "two conditions are called `{name}`, and only one of them would be looked at"
            );
            self.add("conditions", Lack::Twice, what);
        }
        for (n, evidence) in request.evidence.iter().enumerate() {
            if evidence.sha256.parse::<crate::model::id::Sha>().is_err() {
                let what = format!(
                    "`{}` is not the SHA-256 of anything: 64 hexadecimal digits",
                    evidence.sha256
                );
                self.add(&format!("evidence[{n}]"), Lack::NotPermitted, what);
            }
        }
    }
}

fn categories(rules: &ExceptionRules) -> String {
    let all: Vec<String> = rules
        .categories
        .iter()
        .map(|c| format!("`{}` ({})", c.id, c.title))
        .collect();
    format!("pick one of {}", all.join(", "))
}
