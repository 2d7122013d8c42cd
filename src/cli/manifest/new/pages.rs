//! How a list seems to be divided, and how only what is new seems to be asked for.

use super::draft::{Draft, quoted};
use super::fields;
use super::openapi::{Endpoint, Parameter, letters};

impl Draft<'_> {
    /// `page`, by the parameters of the endpoint and the texts beside its list.
    pub fn pages(&mut self, depth: usize, endpoint: &Endpoint) {
        let named = |names: &[&str]| parameter(&endpoint.query, names);
        let beside = |names: &[&str]| {
            let last = |path: &String| letters(path.rsplit('.').next().unwrap_or_default());
            names.iter().find_map(|name| endpoint.beside.iter().find(|path| last(path) == *name))
        };
        let size = named(&["limit", "pagesize", "perpage", "count", "pagelimit", "size", "maxresults"]);
        let more = beside(&["hasmore", "hasnext", "hasnextpage", "more"]);
        let cursor = named(&[
            "cursor",
            "after",
            "startingafter",
            "startafter",
            "pagetoken",
            "nexttoken",
            "afterid",
            "next",
        ]);
        let (number, offset) = (named(&["page", "pagenumber", "pagenum"]), named(&["offset", "skip"]));
        let url = beside(&["href", "nexturl", "nextlink", "nextpageurl"])
            .filter(|path| letters(path).contains("next"))
            .or_else(|| endpoint.beside.iter().find(|path| letters(path).ends_with("linksnext")));
        let mut page: Vec<String> = Vec::new();
        if let Some(cursor) = cursor {
            let next =
                beside(&["nextcursor", "nextpagetoken", "cursor", "next", "nexttoken", "after", "endcursor"]);
            if next.is_none() {
                self.ask(depth, "`page.next`: what of the answer names the next page?");
            }
            page.push(format!("cursor: {}", quoted(&cursor.name)));
            page.push(format!("next: {}", next.map_or(".next_cursor", String::as_str)));
        } else if let Some(url) = url {
            page.push(format!("url: {url}"));
        } else if let Some(number) = number {
            self.ask(depth, "`page.first`: is the first page 0 or 1?");
            page.push(format!("number: {}", quoted(&number.name)));
            page.extend(["first: 1".to_owned(), "ends: empty".to_owned()]);
        } else if let Some(offset) = offset {
            self.ask(depth, "`page.offset` loses records where rows move while they are read: does the list only grow at its end?");
            page.extend([format!("offset: {}", quoted(&offset.name)), "ends: empty".to_owned()]);
        } else {
            return self.ask(depth, "`page`: the description shows no pages; is one answer everything?");
        }
        match size {
            Some(size) => page.push(format!(
                "size: {{ {}: {} }}",
                quoted(&size.name),
                size.most.filter(|most| (1..=1000).contains(most)).unwrap_or(100)
            )),
            None if page.len() > 1 && cursor.is_none() => {
                self.ask(depth, "`page.size`: how many records does a page have?");
                page.push("size: 100".to_owned());
            }
            None => {}
        }
        page.extend(more.map(|more| format!("more: {more}")));
        self.line(depth, &format!("page: {{ {} }}", page.join(", ")));
    }

    /// How only what is new is asked for.
    pub fn news(&mut self, depth: usize, endpoint: &Endpoint) {
        let since = |parameter: &&Parameter| {
            let name = letters(&parameter.name);
            let of_change = name.contains("updated") || name.contains("modified") || name.contains("changes");
            of_change
                && ["from", "since", "gte", "after", "min", "begin", "start", "gt"]
                    .iter()
                    .any(|word| name.contains(word))
        };
        let (since, by) = (endpoint.query.iter().find(since), fields::of(&endpoint.record, &fields::UPDATED));
        if let (Some(since), Some(by)) = (since, by) {
            self.ask(depth, "`changes`: how late may the API show a change, and how far back does it go? Is its limit inclusive?");
            return self.line(
                depth,
                &format!("changes: {{ by: {by}, since: {}, late: 7d, back: 730d }}", quoted(&since.name)),
            );
        }
        let times: Vec<String> = endpoint
            .query
            .iter()
            .filter(|parameter| {
                let name = letters(&parameter.name);
                ["date", "time", "from", "since", "start", "begin", "created"]
                    .iter()
                    .any(|word| name.contains(word))
            })
            .map(|parameter| format!("{:?}", parameter.name))
            .collect();
        let told = if times.is_empty() {
            "it takes no time".to_owned()
        } else {
            format!("it takes {}", times.join(", "))
        };
        self.ask(depth, &format!("everything is asked for in each run; how is only what is new asked for (`changes`, `creations`, `days`, `newest_first`)? {told}"));
    }
}

fn parameter<'p>(query: &'p [Parameter], names: &[&str]) -> Option<&'p Parameter> {
    names.iter().find_map(|name| query.iter().find(|parameter| letters(&parameter.name) == *name))
}
