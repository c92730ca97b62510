//! `tripline.yaml`.
