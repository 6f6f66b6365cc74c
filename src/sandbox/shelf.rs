//! What is kept by id and listed in pages.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// Which part of a list is asked for.
#[derive(Clone, Copy)]
pub struct Page {
    /// From 1.
    pub page: u64,
    /// From 1; more than 100 counts as 100.
    pub limit: u64,
}

/// Items by id, and by place for the lists. No id is given twice.
pub struct Shelf<T> {
    items: BTreeMap<u64, T>,
    /// The keys of `items`: the place of a page in a list of 100,000 is found at once.
    order: Vec<u64>,
    next: u64,
}

impl<T> Shelf<T> {
    pub fn from_id(next: u64) -> Shelf<T> {
        Shelf { items: BTreeMap::new(), order: Vec::new(), next }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }

    pub fn next_id(&self) -> u64 {
        self.next
    }

    /// Makes `next` the next id, if it is not behind.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    pub fn put(&mut self, id: u64, item: T) {
        if self.items.insert(id, item).is_none() {
            let at = self.order.partition_point(|other| *other < id);
            self.order.insert(at, id);
        }
        self.next = self.next.max(id.saturating_add(1));
    }

    pub fn remove(&mut self, id: u64) {
        self.items.remove(&id);
        if let Ok(at) = self.order.binary_search(&id) {
            self.order.remove(at);
        }
    }

    pub fn find(&self, id: &str) -> Option<&T> {
        let number: u64 = id.parse().ok()?;
        // `0101` and `+101` are no ids.
        self.items.get(&number).filter(|_| number.to_string() == id)
    }

    pub fn page(&self, Page { page, limit }: Page, name: &str, show: impl Fn(&T) -> Json) -> Json {
        let limit = limit.clamp(1, PAGE_MAX);
        let start = usize::try_from(page.saturating_sub(1).saturating_mul(limit))
            .unwrap_or(usize::MAX)
            .min(self.order.len());
        let end = start.saturating_add(limit as usize).min(self.order.len());
        let items: Vec<Json> =
            match (self.order.get(start), end.checked_sub(1).and_then(|last| self.order.get(last)))
            {
                (Some(first), Some(last)) => {
                    self.items.range(first..=last).map(|(_, item)| show(item)).collect()
                }
                _ => Vec::new(),
            };
        json!({ name: items, "total": self.order.len(), "page": page, "limit": limit })
    }
}

const PAGE_MAX: u64 = 100;
