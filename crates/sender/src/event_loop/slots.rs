//! Values with keys. A key is never used again, so an event for a socket that is gone is not taken for one of the socket
//! that has its place.

use mio::Token;

const INDEX_BITS: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    fn new(index: usize, use_count: u32) -> Self {
        Self(u64::from(use_count) << INDEX_BITS | index as u64)
    }

    fn index(self) -> usize {
        self.0 as u32 as usize
    }

    fn use_count(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32
    }
}

impl From<Key> for Token {
    fn from(key: Key) -> Self {
        Token(key.0 as usize)
    }
}

impl From<Token> for Key {
    fn from(token: Token) -> Self {
        Self(token.0 as u64)
    }
}

#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry<T> {
    use_count: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { use_count: 0, value: None });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.value = Some(value);
        Key::new(index, entry.use_count)
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index()).filter(|entry| entry.use_count == key.use_count())?;
        entry.value.as_mut()
    }

    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index()).filter(|entry| entry.use_count == key.use_count())?;
        let value = entry.value.take()?;
        entry.use_count = entry.use_count.wrapping_add(1);
        self.free.push(key.index());
        Some(value)
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_no_use_when_its_value_was_removed_although_its_place_is_used_again() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(slots.len(), 1);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(Key::from(Token::from(second)), second);
        assert_eq!(slots.get_mut(second), Some(&mut "second"));
    }
}
