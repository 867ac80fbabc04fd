//! One number for each text of a payload, whichever jobs it comes from.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::numbering::number;

/// Texts that are borrowed from the payload, each once.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    texts: Vec<&'a str>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> Texts<'a> {
    /// Makes room for so many more, so that the table need not grow step by step.
    pub(super) fn reserve(&mut self, more: usize) {
        let Self { texts, table, hasher } = self;
        table.reserve(more, |&id| hasher.hash_one(texts[id as usize]));
    }

    /// The number of `text`.
    pub(super) fn intern(&mut self, text: &'a str) -> u32 {
        let Self { texts, table, hasher } = self;
        let hash = hasher.hash_one(text);
        let known = |&id: &u32| texts[id as usize] == text;
        if let Some(&id) = table.find(hash, known) {
            return id;
        }
        let id = number(texts.len());
        texts.push(text);
        table.insert_unique(hash, id, |&id| hasher.hash_one(texts[id as usize]));
        id
    }

    /// The text of that number.
    pub(super) fn get(&self, id: u32) -> &'a str {
        self.texts[id as usize]
    }

    /// How many there are: every number is below this.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}
