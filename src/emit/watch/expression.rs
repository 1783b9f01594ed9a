//! Checks the text of one SQL expression, as a user wrote it, and renames columns in it.
//!
//! The text is put between parentheses in a query of ours. If no token of the text closes our parenthesis, the text can
//! only be an expression. Tokens are found by the rules of Postgres. So the text must close every parenthesis that it
//! opens, and no other. Postgres checks the rest.

use std::iter::Peekable;
use std::ops::Range;
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

/// Returns whether the text may use `old` or `new` as a whole row, and not only columns of it.
pub fn has_whole_row(text: &str) -> bool {
    let tokens: Vec<Token> = tokens(text).collect();
    tokens.iter().enumerate().any(|(place, token)| {
        let is_row = matches!(token, Token::Name(name) if name == "old" || name == "new");
        let next = [tokens.get(place + 1), tokens.get(place + 2)];
        is_row && !matches!(next, [Some(Token::Symbol('.')), Some(Token::Name(_))])
    })
}

/// Returns the text with the new name of a column wherever the old one follows `old.` or `new.`; `None` if it does not
/// name the column.
pub fn renamed(text: &str, old_name: &str, quoted_new_name: &str) -> Option<String> {
    let tokens: Vec<(Token, Range<usize>)> = tokens_with_places(text).collect();
    let is_dot = |place: usize| tokens.get(place).is_some_and(|(token, _)| *token == Token::Symbol('.'));
    let is_call = |place: usize| tokens.get(place).is_some_and(|(token, _)| *token == Token::Symbol('('));
    let mut renamed = String::new();
    let mut copied = 0;
    for (place, window) in tokens.windows(3).enumerate() {
        let [(Token::Name(row), _), (Token::Symbol('.'), _), (Token::Name(column), range)] = window else { continue };
        // Not `schema.new.column`, nor a function in a schema `new`.
        let is_qualified = place > 0 && is_dot(place - 1);
        if matches!(row.as_str(), "old" | "new") && column == old_name && !is_qualified && !is_call(place + 3) {
            renamed += &text[copied..range.start];
            renamed += quoted_new_name;
            copied = range.end;
        }
    }
    renamed += &text[copied..];
    (copied > 0).then_some(renamed)
}

fn tokens(text: &str) -> impl Iterator<Item = Token> {
    tokens_with_places(text).map(|(token, _)| token)
}

/// Returns the tokens with their places in the text.
fn tokens_with_places(text: &str) -> impl Iterator<Item = (Token, Range<usize>)> {
    let mut scanner = Scanner { text, rest: text.char_indices().peekable(), began: 0 };
    std::iter::from_fn(move || {
        let token = scanner.next_token()?;
        Some((token, scanner.began..scanner.place()))
    })
}

struct Scanner<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    /// The place of the latest token.
    began: usize,
}

impl Scanner<'_> {
    fn next_token(&mut self) -> Option<Token> {
        loop {
            let (place, first) = self.rest.next()?;
            self.began = place;
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
    fn columns_of_old_and_new_are_renamed_as_postgres_reads_them() {
        let text =
            r#"New.A || old."a" || 'new.a' || x.new.a || new.a(1) || new . a /* new.a */ || newer.a || new.ab || "#;
        let text = format!("{text}(SELECT a FROM t WHERE t.id = new.\"A\") || $$ new.a $$ || to_jsonb(new)");
        let expected = r#"New."b c" || old."b c" || 'new.a' || x.new.a || new.a(1) || new . "b c" /* new.a */ || newer.a || new.ab || "#;
        let expected = format!("{expected}(SELECT a FROM t WHERE t.id = new.\"A\") || $$ new.a $$ || to_jsonb(new)");
        assert_eq!(renamed(&text, "a", "\"b c\""), Some(expected));
        assert_eq!(renamed("new.é", "é", "e").as_deref(), Some("new.e"));
        assert_eq!(renamed(&text, "b", "c"), None);
    }

    #[test]
    fn whole_rows_are_told_from_their_columns() {
        for columns in ["new.a > old.\"b\"", "lower(NEW.name) = 'new'", "newer IS NULL", "new . a -- old"] {
            assert!(!has_whole_row(columns), "{columns}");
        }
        for rows in ["new IS DISTINCT FROM old", "to_jsonb(\"new\") ? 'a'", "row(new.*) = row(old.*)", "new.new = old"]
        {
            assert!(has_whole_row(rows), "{rows}");
        }
    }
}
