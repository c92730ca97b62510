//! The policy file: the text that controls enforce, with its version, its date, its owner and its rules for
//! exceptions.

pub mod parts;
pub mod rules;

use self::rules::{ExampleFile, RulesFile};
use crate::{
    catalog::{
        frameworks::{self, Reference},
        load::offer,
        name::{Phrase, Slug},
    },
    model::{
        id::PolicyId,
        policy::{Policy, Provision, ProvisionRef},
    },
    record,
    yaml::{
        decode::{Cx, Decode, Located, scalar},
        diagnostic::Diagnostic,
        tree::Node,
        values::Named,
    },
};

record! {
    /// One clause of a policy.
    pub struct ProvisionFile {
        /// A heading.
        title: Phrase,
        /// The wording, in Markdown.
        text: Phrase,
    }
}

record! {
    /// A policy: the text that controls enforce.
    pub struct PolicyFile {
        /// The name by which controls refer to the policy.
        id: Located<Slug>,
        /// The version; every change of the text is a new one.
        version: u32,
        /// The day from which this version is in force.
        effective: chrono::NaiveDate,
        /// What the policy is about.
        title: Phrase,
        /// The policy lead: a person or a team.
        owner: Located<Phrase>,
        /// Where frameworks ask for the policy, `NAME:REF`.
        frameworks: Vec<Located<Reference>> = Vec::new(),
        /// The clauses by name.
        provisions: Named<ProvisionFile>,
        /// Who may except whom, from what, for how long. Without it nothing may be excepted.
        exceptions: Option<RulesFile>,
        /// What comes of which request; run by `tripline test`.
        examples: Vec<ExampleFile> = Vec::new(),
    }
    check(parts_fit)
}

fn parts_fit(policy: &PolicyFile, node: &Node, cx: &mut Cx) {
    provisions_are_named(policy, node, cx);
    let known: Vec<&str> = policy
        .provisions
        .iter()
        .map(|(k, _)| k.text.as_str())
        .collect();
    let rules = policy.exceptions.iter();
    let categories = rules.clone().flat_map(|r| r.categories.iter());
    for provision in categories.flat_map(|(_, c)| &c.provisions) {
        if !known.contains(&provision.0.as_str()) {
            let what = format!("the policy has no provision `{}`", provision.0);
            let d = Diagnostic::error("TL0510", &provision.place, what);
            cx.out.push(offer(d, &provision.0, known.iter().copied()));
        }
    }
    for route in rules.flat_map(|r| &r.routes) {
        let is_shown = |e: &ExampleFile| e.expect.routes.contains(&route.id.0);
        if !policy.examples.iter().any(is_shown) {
            let what = format!("no example shows the route `{}`", route.id.0);
            cx.out.push(
                Diagnostic::error("TL0514", &route.id.place, what)
                    .help("add one under `examples:` with the route in `expect.routes`"),
            );
        }
    }
}

fn provisions_are_named(policy: &PolicyFile, node: &Node, cx: &mut Cx) {
    for (key, _) in policy.provisions.iter() {
        cx.out
            .extend(super::name::not_a_slug(&key.text, &key.place));
    }
    if policy.provisions.is_empty() {
        let place = node.get("provisions").map_or(&node.place, |n| &n.place);
        cx.out.push(
            Diagnostic::error("TL0501", place, "the policy has no provision")
                .help("a control refers to one clause: `policy: name#clause`"),
        );
    }
    if policy.version == 0 {
        let place = node.get("version").map_or(&node.place, |n| &n.place);
        cx.out.push(Diagnostic::error(
            "TL0502",
            place,
            "versions of a policy begin with 1",
        ));
    }
}

impl PolicyFile {
    /// The policy as the daemon's noun; unknown frameworks are warnings.
    pub fn resolve(self, out: &mut Vec<Diagnostic>) -> Policy {
        let provisions = self.provisions.0.into_iter();
        Policy {
            id: PolicyId::new(&self.id.0),
            version: self.version,
            effective: self.effective,
            title: self.title.0,
            owner: self.owner.value.0,
            frameworks: frameworks::resolve(&self.frameworks, out),
            provisions: provisions
                .map(|(key, provision)| Provision {
                    id: key.text,
                    title: provision.title.0,
                    text: provision.text.0,
                })
                .collect(),
            exceptions: self.exceptions.map(|rules| Box::new(rules.resolve())),
            examples: self
                .examples
                .into_iter()
                .map(ExampleFile::resolve)
                .collect(),
        }
    }
}

impl Decode for ProvisionRef {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let wanted = "`policy#provision`";
        let text = &scalar(node, wanted, cx)?.text;
        match text.split_once('#') {
            Some((policy, provision)) if !policy.is_empty() && !provision.is_empty() => {
                Some(Self {
                    policy: PolicyId::new(policy),
                    provision: provision.to_owned(),
                })
            }
            _ => cx.wrong(
                Diagnostic::error(
                    "TL0212",
                    &node.place,
                    format!("`{text}` does not name a clause of a policy"),
                )
                .help("write the policy's name, `#`, and the clause: `nhi-credentials#rotation`"),
            ),
        }
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[^#]+#[^#]+$" })
    }
}
