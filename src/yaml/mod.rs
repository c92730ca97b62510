//! Files as people write them: YAML in which every value knows its place, strict records, and
//! diagnostics that come all at once. Knows nothing of what the files mean, and opens none.

pub mod decode;
pub mod diagnostic;
pub mod tagged;
pub mod tree;
pub mod values;
