//! Verifies requests that bring the secret itself.

use super::mac::any_equals;
use super::request::{Request, required};
use super::{Denied, Stage, Step};
use crate::scheme::Source;

pub fn verify(request: &mut Request<'_>, secrets: &[Vec<u8>], steps: &mut Vec<Step>) -> Result<(), Denied> {
    let Some(source) = &request.scheme.token else {
        let says = "nothing is signed: who knows the URL is accepted".to_owned();
        steps.push(Step { stage: Stage::Signature, says });
        return Ok(());
    };
    let given: Vec<&[u8]> = match source {
        Source::Header(name) => vec![required(request.arriving, name.as_str(), Stage::Signature)?.as_bytes()],
        Source::Path(path) => {
            let found = path.all(request.payload()?).unwrap_or_default();
            found.into_iter().map(|value| value.as_str().unwrap_or_default().as_bytes()).collect()
        }
        Source::Joined(_) | Source::Digest => Vec::new(),
    };
    if given.is_empty() {
        return Err(Denied::new(Stage::Signature, "the request has no token"));
    }
    if !given.iter().all(|given| !given.is_empty() && any_equals(given, secrets)) {
        return Err(Denied::new(Stage::Signature, "the token does not fit"));
    }
    steps.push(Step { stage: Stage::Signature, says: "the token fits".to_owned() });
    Ok(())
}
