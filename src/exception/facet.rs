//! The one typed row that tiers, routes and urgency are decided over. What is not known is NULL, and unknown goes
//! to the stricter side.

use crate::model::table::ColumnType;

/// Every facet with its type, in the order in which people read them.
pub const FACETS: &[(&str, ColumnType)] = &[
    ("policy_domain", ColumnType::Text),
    ("category", ColumnType::Text),
    ("business_impact", ColumnType::Text),
    ("data_sensitivity", ColumnType::Text),
    ("customer_exposure", ColumnType::Bool),
    ("external_model", ColumnType::Bool),
    ("legal_exposure", ColumnType::Bool),
    ("sets_precedent", ColumnType::Bool),
    ("regulatory", ColumnType::ListText),
    ("regulated", ColumnType::Bool),
    ("amount", ColumnType::Float),
    ("incident_open", ColumnType::Bool),
    ("sla_due_hours", ColumnType::Float),
    ("environment", ColumnType::Text),
    ("subject_tier", ColumnType::Text),
    ("severity", ColumnType::Text),
    ("subject_count", ColumnType::Int),
    ("requested_days", ColumnType::Int),
    ("renewal_number", ColumnType::Int),
    ("active_of_team", ColumnType::Int),
    ("team", ColumnType::Text),
    ("department", ColumnType::Text),
    ("region", ColumnType::Text),
    ("confidence", ColumnType::Float),
    ("urgency", ColumnType::Text),
];

/// Known once a request is triaged; routes may speak of it, tiers and urgency may not.
pub const TIER: (&str, ColumnType) = ("tier", ColumnType::Text);

/// What the requester says. All else comes from evidence and the machine, and cannot be overridden.
pub const STATED: &[&str] = &[
    "policy_domain",
    "business_impact",
    "data_sensitivity",
    "customer_exposure",
    "external_model",
    "legal_exposure",
    "sets_precedent",
    "regulatory",
    "amount",
];

/// What the machine counts or decides itself; neither a requester nor a policy's SQL says it.
pub const COUNTED: &[&str] = &[
    "category",
    "severity",
    "subject_count",
    "requested_days",
    "renewal_number",
    "active_of_team",
    "team",
    "department",
    "region",
    "confidence",
    "urgency",
];

/// The values that a facet may have, when they are few; the least severe first.
pub fn values(facet: &str) -> &'static [&'static str] {
    match facet {
        "business_impact" | "severity" => &["low", "medium", "high", "critical"],
        "data_sensitivity" => &[
            "public",
            "synthetic",
            "internal",
            "confidential",
            "regulated",
            "secret",
        ],
        _ => &[],
    }
}
