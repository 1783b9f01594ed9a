//! Approvals: what a tool would write, for a person to say yes or no to.
//!
//! Arguments, rows and bodies of webhooks come from whoever asks, who may want to mislead the person who decides. They are
//! shown as data: see `visible`.

use serde::Deserialize;
use serde_json::Value;

mod fields;
pub mod list;
pub mod one;

#[derive(Deserialize)]
pub struct Approval {
    pub id: i64,
    pub key_name: String,
    pub tenant_id: Option<String>,
    pub tool: String,
    /// JSON, as it was sent. In the list only the beginning.
    pub arguments: String,
    /// How the key is answered: `console`, `elicit` or `client`.
    pub mode: String,
    pub state: String,
    pub created_at: String,
    pub expires_at: String,
    pub decided_at: Option<String>,
    pub decided_by: Option<String>,
    /// How often it was previewed.
    pub previews: Option<i64>,
    pub preview: Option<Preview>,
    /// JSON.
    pub result: Option<String>,
    pub error: Option<String>,
}

#[derive(Deserialize)]
pub struct Preview {
    /// The row, as it is, and what the tool would answer. JSON.
    before: Option<String>,
    result: Option<String>,
    /// What was left out.
    note: Option<String>,
    /// Where values are that will be others when it is written.
    #[serde(default)]
    varying: Vec<String>,
    #[serde(flatten)]
    effects: Value,
}

impl Approval {
    pub fn path(&self) -> String {
        format!("/settings/approvals/{}", self.id)
    }

    fn is_pending(&self) -> bool {
        self.state == "pending"
    }
}
