//! From a complete request to frozen terms: names become people, subjects get the fingerprint that they have now, the
//! policy is pinned, and what evidence and the machine know is put beside what the requester says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Error;
use crate::{
    exception::{coverage::fingerprint, facet},
    model::{
        control::{Control, Param},
        exception::{Attachment, Condition, ExceptedControl, ExceptedSubject, Pinned, Risk, Terms},
        id::{ControlId, PersonId, SubjectId, TeamId},
        outcome::{Evaluation, Observed, Row},
        people::{Directory, Principal, Team},
        policy::{Policy, Severity},
        request::{self, Request},
        rules::{Check, ExceptionRules, OnViolation, ParamType},
        run::Run,
        span::Span,
    },
    run::{Context, Set, rehearse},
};

/// What the register knows of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'k> {
    /// The team that it is for, when the directory has it.
    pub(super) team: Option<&'k Team>,
    /// How many exceptions of its team are in force.
    pub(super) active_of_team: u64,
    /// How often it was renewed, with this.
    pub(super) renewals: u32,
    /// When the first of those that it renews was to end.
    pub(super) original: Option<DateTime<Utc>>,
}

/// What evidence says of the subjects of a request, now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    controls: BTreeMap<ControlId, (Arc<Control>, Run, Evaluation)>,
}

impl Seen {
    /// Asks each control that there is about the subjects.
    pub(super) async fn of(cx: &Context, set: &Set, request: &Request) -> Result<Self, Error> {
        let subjects: Vec<SubjectId> = request
            .subjects
            .iter()
            .map(|s| SubjectId::from(s.as_str()))
            .collect();
        let mut seen = Self::default();
        for name in &request.controls {
            let id = ControlId::new(name);
            if let Some(control) = set.catalog.control(&id) {
                let decided = rehearse(cx, set, control, &subjects).await?;
                seen.controls
                    .insert(id, (Arc::clone(control), decided.run, decided.evaluation));
            }
        }
        Ok(seen)
    }

    /// Whether a control sees a subject, or why it could not look.
    pub(super) fn sees(&self, control: &ControlId, subject: &SubjectId) -> Result<bool, String> {
        let Some((_, _, evaluation)) = self.controls.get(control) else {
            return Err(format!("`{control}` was not asked"));
        };
        match &evaluation.not_checked {
            Some((_, why)) => Err(why.trim_end_matches('.').to_owned()),
            None => Ok(evaluation.observed.iter().any(|o| o.subject == *subject)),
        }
    }

    /// Why a control says nothing of a subject.
    pub(super) fn silence(&self, control: &ControlId) -> String {
        let Some((_, run, evaluation)) = self.controls.get(control) else {
            return format!("there is no control `{control}` any more");
        };
        match &evaluation.not_checked {
            Some((_, why)) => format!("it cannot be told: {}", run.detail.as_ref().unwrap_or(why)),
            None => "no inventory has it".to_owned(),
        }
    }

    /// What a control says of a subject now.
    pub(super) fn observed_of(
        &self,
        control: &ControlId,
        subject: &SubjectId,
    ) -> Option<&Observed> {
        let (_, _, evaluation) = self.controls.get(control)?;
        evaluation.observed.iter().find(|o| o.subject == *subject)
    }

    /// Everything that its controls say of subjects that fail, are asked for, or are known.
    pub(super) fn observed(&self) -> impl Iterator<Item = (&Arc<Control>, &Run, &Observed)> {
        self.controls
            .values()
            .flat_map(|(control, run, e)| e.observed.iter().map(move |o| (control, run, o)))
    }
}

/// The terms of a complete request.
pub(super) fn terms(
    request: &Request,
    (policy, rules): (&Policy, &ExceptionRules),
    directory: &Directory,
    seen: &Seen,
    (known, now): (&Known<'_>, DateTime<Utc>),
) -> Result<Terms, Error> {
    let missing = |field: &str| Error::refused("missing", format!("`{field}` is missing"));
    let person = |field: &str, name: &Option<String>| -> Result<PersonId, Error> {
        let found = name.as_deref().and_then(|n| directory.find(n));
        match found {
            Some(Principal::Person(id)) => Ok(id),
            _ => Err(missing(field)),
        }
    };
    let text = |field: &str, text: &Option<String>| text.clone().ok_or_else(|| missing(field));
    let (inherent, residual): (Risk, Risk) = request.risk.ok_or_else(|| missing("risk"))?;
    let asked: BTreeSet<&str> = request.subjects.iter().map(String::as_str).collect();
    let mut facts = BTreeMap::new();
    let mut subjects = Vec::new();
    for (control, _, observed) in seen.observed() {
        if !asked.contains(observed.subject.as_str()) {
            continue;
        }
        facts.extend(observed.facts.clone());
        subjects.push(ExceptedSubject {
            control: control.id.clone(),
            subject: observed.subject.clone(),
            fingerprint: fingerprint(&observed.fingerprint),
        });
    }
    // What is frozen is what was asked for, and never less.
    let found: BTreeSet<&str> = subjects.iter().map(|s| s.subject.as_str()).collect();
    if let Some(lost) = asked.iter().find(|name| !found.contains(*name)) {
        let say = format!("`{lost}` is not in evidence, so nothing can be frozen of it");
        return Err(Error::refused("not_seen", say));
    }
    let natives = natives(request);
    Ok(Terms {
        title: text("title", &request.title)?,
        kind: request.kind,
        category: text("category", &request.category)?,
        provision: request.provision.clone(),
        policy: pinned(policy, rules),
        controls: seen
            .controls
            .values()
            .map(|(control, ..)| ExceptedControl {
                control: control.id.clone(),
                definition: control.definition,
            })
            .collect(),
        requester: person("requester", &request.requester)?,
        owner: person("owner", &request.owner)?,
        backup_owner: match &request.backup_owner {
            Some(_) => Some(person("backup_owner", &request.backup_owner)?),
            None => None,
        },
        beneficiary_team: TeamId::new(text("beneficiary_team", &request.beneficiary_team)?),
        monitors: request.monitors.clone(),
        business_purpose: text("business_purpose", &request.business_purpose)?,
        impact_if_denied: text("impact_if_denied", &request.impact_if_denied)?,
        reason_code: request.reason_code.ok_or_else(|| missing("reason_code"))?,
        alternatives: text("alternatives", &request.alternatives)?,
        risk_introduced: text("risk_introduced", &request.risk_introduced)?,
        inherent,
        residual,
        facets: request.facets.clone().into_iter().collect(),
        facts,
        subjects,
        selector: request.selector.clone(),
        limit: request.limit.clone(),
        not_before: request.not_before.unwrap_or(now),
        expires_at: request.expires_at.ok_or_else(|| missing("expires_at"))?,
        review_every: request.review_every,
        conditions: request
            .conditions
            .iter()
            .map(|c| condition(c, rules, &natives))
            .collect::<Result<_, _>>()?,
        evidence: request
            .evidence
            .iter()
            .map(|e| {
                let sha256 = e.sha256.parse().map_err(|_| missing("evidence"))?;
                Ok(Attachment {
                    kind: e.kind,
                    uri: e.uri.clone(),
                    sha256,
                    captured_at: e.captured_at,
                })
            })
            .collect::<Result<_, Error>>()?,
        closure_plan: request.closure_plan.clone(),
        renewal_of: request.renewal_of.as_deref().map(Into::into),
        renewals: known.renewals,
        original_expires_at: known.original,
        incident: request.incident.clone(),
        ticket: request.ticket.clone(),
    })
}

/// The native ids of the subjects of a request: `$subjects` in the SQL of its conditions.
pub(super) fn natives(request: &Request) -> Vec<String> {
    let native = |s: &String| s.splitn(3, '/').nth(2).map(str::to_owned);
    request.subjects.iter().filter_map(native).collect()
}

/// The same terms with what is pinned pinned anew: the policy, what judges in each control, and what the subjects are
/// like now.
pub(super) fn again(
    terms: &Terms,
    (policy, rules): (&Policy, &ExceptionRules),
    seen: &Seen,
) -> Terms {
    let mut terms = terms.clone();
    terms.policy = pinned(policy, rules);
    for one in &mut terms.controls {
        if let Some((control, ..)) = seen.controls.get(&one.control) {
            one.definition = control.definition;
        }
    }
    for one in &mut terms.subjects {
        if let Some(now) = seen.observed_of(&one.control, &one.subject) {
            one.fingerprint = fingerprint(&now.fingerprint);
        }
    }
    terms
}

/// The policy as it is now.
pub(super) fn pinned(policy: &Policy, rules: &ExceptionRules) -> Pinned {
    Pinned {
        version: policy.version,
        effective: policy.effective,
        text: policy.text_digest(),
        rules: rules.digest(),
    }
}

pub(super) fn condition(
    asked: &request::Condition,
    rules: &ExceptionRules,
    natives: &[String],
) -> Result<Condition, Error> {
    let wrong = |what: String| Error::refused("condition", what);
    let subjects = Param::List(natives.to_vec());
    let mut params = BTreeMap::from([("subjects".to_owned(), subjects)]);
    let responsible = asked.responsible.clone().unwrap_or_default();
    if let Some(name) = &asked.mitigation {
        let known = rules
            .mitigations
            .get(name)
            .ok_or_else(|| wrong(format!("the policy has no mitigation `{name}`")))?;
        let mut text = known.text.clone();
        for (param, ty) in &known.params {
            let value = asked.params.get(param).unwrap_or(&Value::Null);
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text = text.replace(&format!("{{{{ {param} }}}}"), &shown);
            let read = literal(*ty, value)
                .ok_or_else(|| wrong(format!("`{param}` of `{name}` is {ty}, and not {shown}")))?;
            params.insert(param.clone(), read);
        }
        return Ok(Condition {
            id: name.clone(),
            text,
            check: known.check.clone(),
            params,
            on_violation: asked.on_violation.unwrap_or(known.on_violation),
            grace: asked.grace.unwrap_or_default().min(MOST_GRACE),
            responsible,
        });
    }
    let check = match asked.attested {
        Some(every) => Check::Attested { every },
        None => Check::Machine {
            evidence: asked.evidence.clone().unwrap_or_default(),
            subject: asked.subject.clone().unwrap_or_default(),
            fails_when: asked.fails_when.clone().unwrap_or_default(),
            schedule: asked
                .schedule
                .clone()
                .unwrap_or_else(|| "0 * * * *".to_owned()),
            max_age: asked.max_age.unwrap_or(Span::hours(1)),
        },
    };
    Ok(Condition {
        id: asked.id.clone().unwrap_or_default(),
        text: asked.text.clone().unwrap_or_default(),
        check,
        params,
        on_violation: asked.on_violation.unwrap_or(OnViolation::Suspend),
        grace: asked.grace.unwrap_or_default().min(MOST_GRACE),
        responsible,
    })
}

/// The longest that evidence of a condition may be missing.
const MOST_GRACE: Span = Span::hours(24);

fn literal(ty: ParamType, value: &Value) -> Option<Param> {
    Some(match ty {
        ParamType::Int => Param::Int(value.as_i64()?),
        ParamType::Float => Param::Float(value.as_f64()?),
        ParamType::Text => Param::Text(value.as_str()?.to_owned()),
        ParamType::Duration => Param::Duration(value.as_str()?.parse().ok()?),
    })
}

/// Everything that is known of a request for triage: what the requester says, and what evidence and the machine know,
/// which nobody can override.
pub(super) fn facets(request: &Request, seen: &Seen, known: &Known<'_>, now: DateTime<Utc>) -> Row {
    let asked: BTreeSet<&str> = request.subjects.iter().map(String::as_str).collect();
    let observed = seen.observed().map(|(_, _, o)| o);
    let observed = observed.filter(|o| asked.contains(o.subject.as_str()));
    facets_of(request, observed, known, now)
}

/// The same of what was observed of its subjects.
pub(super) fn facets_of<'o>(
    request: &Request,
    observed: impl Iterator<Item = &'o Observed>,
    known: &Known<'_>,
    now: DateTime<Utc>,
) -> Row {
    let mut row: Row = facet::FACETS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), Value::Null))
        .collect();
    for (name, value) in &request.facets {
        row.insert(name.clone(), value.clone());
    }
    let asked: BTreeSet<&str> = request.subjects.iter().map(String::as_str).collect();
    let observed: Vec<&Observed> = observed.collect();
    let severity: Option<Severity> = observed.iter().map(|o| o.severity).max();
    let fact = |name: &str| {
        let values: BTreeSet<&String> = observed.iter().filter_map(|o| o.facts.get(name)).collect();
        // Several environments: the one that matters most.
        values
            .iter()
            .find(|v| v.as_str() == "production")
            .or_else(|| values.first())
            .map(|v| v.as_str().to_owned())
    };
    let pairs = asked.len() * request.controls.len();
    let regulated = request
        .facets
        .get("regulatory")
        .and_then(Value::as_array)
        .map(|list| !list.is_empty());
    let begin = request.not_before.unwrap_or(now);
    let days = request.expires_at.map(|end| {
        (end - begin).num_hours().div_euclid(24) + i64::from((end - begin).num_hours() % 24 > 0)
    });
    #[expect(clippy::cast_precision_loss, reason = "few subjects")]
    let confidence = (pairs > 0).then(|| observed.len() as f64 / pairs as f64);
    for (name, value) in [
        ("category", json!(request.category)),
        ("regulated", json!(regulated)),
        ("environment", json!(fact("environment"))),
        ("subject_tier", json!(fact("subject_tier"))),
        ("severity", json!(severity)),
        ("subject_count", json!(asked.len())),
        ("requested_days", json!(days)),
        ("renewal_number", json!(known.renewals)),
        ("active_of_team", json!(known.active_of_team)),
        ("team", json!(known.team.map(|t| &t.id.value))),
        (
            "department",
            json!(known.team.and_then(|t| t.department.as_ref())),
        ),
        ("region", json!(known.team.and_then(|t| t.region.as_ref()))),
        ("confidence", json!(confidence)),
    ] {
        row.insert(name.to_owned(), value);
    }
    row
}
