//! Checks the text of one SQL expression, as a user wrote it, and finds the columns that it uses.
//!
//! The text is put between parentheses in a query of ours. If no token of the text closes our parenthesis, the text can
//! only be an expression. Tokens are found by the rules of Postgres. So the text must close every parenthesis that it
//! opens, and no other. Postgres checks the rest. Only the columns of `old` and `new` that it uses are found here,
//! without Postgres, because analysing a user's expression can run code of that user.

use std::iter::Peekable;
use std::str::CharIndices;

/// A token of SQL; white space and comments are skipped.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A name as Postgres reads it: in lower case, unless it was quoted.
    Name(String),
    Symbol(char),
    /// A string, a number.
    Other,
    /// `$1`
    Parameter,
    /// A string or comment without an end.
    Unfinished,
}

/// Returns why the text is not one expression; `None` if it is one.
pub fn problem(text: &str) -> Option<&'static str> {
    let mut open = Vec::new();
    let mut empty = true;
    for token in tokens(text) {
        empty = false;
        match token {
            Token::Unfinished => return Some("It has a string, a quoted name or a comment without an end."),
            Token::Parameter => return Some("It has a parameter."),
            Token::Symbol(';') => return Some("It has a semicolon."),
            Token::Symbol(',') if open.is_empty() => return Some("It has a comma outside of parentheses."),
            Token::Symbol(bracket @ ('(' | '[')) => open.push(bracket),
            Token::Symbol(bracket @ (')' | ']')) if open.pop() != Some(opening(bracket)) => {
                return Some("It closes a parenthesis or bracket that it does not open.");
            }
            _ => {}
        }
    }
    match (empty, open.is_empty()) {
        (true, _) => Some("It is empty."),
        (false, true) => None,
        (false, false) => Some("It opens a parenthesis or bracket that it does not close."),
    }
}

fn opening(bracket: char) -> char {
    if bracket == ')' { '(' } else { '[' }
}

/// Returns the columns that the text uses as `old.…` or `new.…`.
pub fn columns(text: &str) -> Vec<String> {
    let tokens: Vec<Token> = tokens(text).collect();
    let mut columns = Vec::new();
    for (place, window) in tokens.windows(3).enumerate() {
        let [Token::Name(row), Token::Symbol('.'), Token::Name(column)] = window else { continue };
        // Not `schema.new.column`, nor a function in a schema `new`.
        let qualified = place > 0 && tokens[place - 1] == Token::Symbol('.');
        let called = tokens.get(place + 3) == Some(&Token::Symbol('('));
        if matches!(row.as_str(), "old" | "new") && !qualified && !called {
            columns.push(column.clone());
        }
    }
    columns
}

fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let mut scanner = Scanner { text, rest: text.char_indices().peekable() };
    std::iter::from_fn(move || scanner.next_token())
}

struct Scanner<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Scanner<'_> {
    fn next_token(&mut self) -> Option<Token> {
        loop {
            let (place, first) = self.rest.next()?;
            let second = self.rest.peek().map(|(_, second)| *second);
            return Some(match (first, second) {
                (blank, _) if blank.is_ascii_whitespace() || blank == '\x0b' => continue,
                ('-', Some('-')) => {
                    self.skip_while(|c| c != '\n' && c != '\r');
                    continue;
                }
                ('/', Some('*')) => match self.skip_comment() {
                    true => continue,
                    false => Token::Unfinished,
                },
                ('\'', _) => self.string(false),
                ('e' | 'E', Some('\'')) => {
                    self.rest.next();
                    self.string(true)
                }
                ('"', _) => self.quoted_name(),
                ('$', _) => self.dollar(place),
                (letter, _) if is_letter(letter) => {
                    self.skip_while(|c| is_letter(c) || c.is_ascii_digit() || c == '$');
                    Token::Name(self.text[place..self.place()].to_ascii_lowercase())
                }
                (digit, _) if digit.is_ascii_digit() => {
                    self.skip_while(|c| is_letter(c) || c.is_ascii_digit());
                    Token::Other
                }
                (symbol, _) => Token::Symbol(symbol),
            });
        }
    }

    /// Returns the place of the next character.
    fn place(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(place, _)| *place)
    }

    fn skip_while(&mut self, condition: impl Fn(char) -> bool) {
        while self.rest.next_if(|(_, c)| condition(*c)).is_some() {}
    }

    /// Skips a comment whose first character was read. Comments nest. Returns whether the comment has an end.
    fn skip_comment(&mut self) -> bool {
        let mut depth = 0;
        let mut former = '/';
        for (_, current) in self.rest.by_ref() {
            match (former, current) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    former = current;
                    continue;
                }
            }
            if depth == 0 {
                return true;
            }
            former = ' ';
        }
        false
    }

    /// Reads a string whose first quote was read. A doubled quote is one quote and not the end.
    fn string(&mut self, backslash_escapes: bool) -> Token {
        while let Some((_, c)) = self.rest.next() {
            if c == '\\' && backslash_escapes {
                self.rest.next();
            } else if c == '\'' && self.rest.next_if(|(_, next)| *next == '\'').is_none() {
                return Token::Other;
            }
        }
        Token::Unfinished
    }

    /// Reads a quoted name whose first quote was read.
    fn quoted_name(&mut self) -> Token {
        let mut name = String::new();
        while let Some((_, c)) = self.rest.next() {
            if c == '"' && self.rest.next_if(|(_, next)| *next == '"').is_none() {
                return Token::Name(name);
            }
            name.push(c);
        }
        Token::Unfinished
    }

    /// Reads a parameter, or a string between two tags such as `$$`, whose first dollar sign was read. `start` is the
    /// place of that sign.
    fn dollar(&mut self, start: usize) -> Token {
        if self.rest.peek().is_some_and(|(_, c)| c.is_ascii_digit()) {
            self.skip_while(|c| c.is_ascii_digit());
            return Token::Parameter;
        }
        self.skip_while(|c| is_letter(c) || c.is_ascii_digit());
        if self.rest.next_if(|(_, c)| *c == '$').is_none() {
            return Token::Symbol('$');
        }
        let body = self.place();
        let tag = &self.text[start..body];
        let Some(length) = self.text[body..].find(tag) else { return Token::Unfinished };
        let end = body + length + tag.len();
        while self.rest.next_if(|(place, _)| *place < end).is_some() {}
        Token::Other
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_can_be_put_between_parentheses() {
        for fine in [
            "new.a",
            "coalesce(new.a, old.b)",
            "(1, 2)",
            "array[1, 2]",
            "jsonb_build_object('a', 'it''s ; ) fine')",
            r"E'\') ' || 'x'",
            "$tag$ ) $other$ ; $tag$ || $$'$$",
            "new.\"a)\"",
            "1 -- ) a comment",
            "1 /* ) /* ; */ ( */ + 2",
            "(SELECT name FROM accounts WHERE id = new.account_id)",
            "new.arr[1] <> 'costs $1'",
        ] {
            assert_eq!(problem(fine), None, "{fine}");
        }
    }

    #[test]
    fn text_that_would_leave_the_parentheses_is_refused() {
        for wrong in [
            "",
            "  -- nothing",
            "1) FROM pg_authid WHERE (true",
            "1); DROP TABLE t; SELECT (1",
            "1, 2",
            "(1",
            "(1]",
            "'",
            r"E'\'",
            "\"a",
            "$$ a",
            "/* /* */",
            "1;",
            "to_jsonb($1)",
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn columns_of_old_and_new_are_found_as_postgres_reads_them() {
        let text = r#"New.A || old."B b""c" || 'new.no' || x.new.no || new.f(1) || new . d /* new.no */ || newer.no
                      || (SELECT q FROM t WHERE t.id = new.é) || $$ new.no $$ || to_jsonb(new)"#;
        assert_eq!(columns(text), ["a", "B b\"c", "d", "é"]);
    }
}
