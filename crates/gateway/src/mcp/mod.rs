//! The Model Context Protocol. The database answers; the gateway passes messages on, in two ways:
//!
//! - Over HTTP, at `/mcp`: a message is a request like any other with an API key. The gateway looks at no part of it.
//! - As a program that a client starts on a person's machine and that speaks on its standard input and output: each line
//!   becomes such a request, made to a gateway or to the database itself.
//!
//! | module | content |
//! |---|---|
//! | `stdio` | the program: lines in, lines out |
//! | `destination` | where it passes messages on to |

mod destination;
pub mod stdio;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::ORIGIN;

use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::problem::Problem;
use crate::route::Surface;

impl Exchange<'_> {
    pub async fn mcp(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        // A value that is not text is that of another origin.
        let origin = request.headers().get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        self.way(request.headers()).check_page(self.live.settings.public_url.as_ref(), origin)?;
        // There is no stream to read, and no session to end.
        if request.method() != "POST" {
            return Err(Problem::method_not_allowed("POST"));
        }
        self.pass_on(request, Surface::Mcp).await
    }
}
