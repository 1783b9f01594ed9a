//! Approvals: what a tool would write, for a person to say yes or no to.
//!
//! Arguments, rows and bodies of webhooks come from whoever asks, who may want to mislead the person who decides. They are
//! shown as data: see `visible`.

use serde::Deserialize;
use serde_json::Value;

mod arguments;
pub mod list;
pub mod one;

#[derive(Deserialize)]
pub struct Approval {
    pub id: String,
    /// Name of the key that asks.
    pub key: String,
    pub tenant_id: Option<String>,
    pub tool: String,
    /// How the key is answered: `console`, `elicit` or `client`.
    pub mode: String,
    pub state: String,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub decided_at: Option<String>,
    pub decided_by: Option<String>,
    /// JSON, as it was sent.
    pub arguments: Option<String>,
    pub preview: Option<Value>,
    /// JSON.
    pub result: Option<String>,
    pub error: Option<String>,
    /// Names the preview.
    pub version: Option<String>,
}

impl Approval {
    pub fn path(&self) -> String {
        format!("/settings/approvals/{}", self.id)
    }

    fn is_pending(&self) -> bool {
        self.state == "pending"
    }
}
