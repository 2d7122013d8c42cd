//! What was published in the last 24 hours, as a picture with its numbers beside it.

use maud::{Markup, html};

use super::page::table;

/// The height of the picture, and the width of an hour, in its own units.
const HEIGHT: i64 = 40;
const HOUR: usize = 10;

/// The versions of each of the last 24 hours, oldest first; nothing where there is none of them.
pub fn picture(provider: &str, hourly: &[i64]) -> Markup {
    let (all, most) = (hourly.iter().sum::<i64>(), hourly.iter().copied().max().unwrap_or(0));
    if most == 0 {
        return html! { p.note { "Nothing was published in the last 24 hours." } };
    }
    let width = hourly.len() * HOUR;
    // an hour with little is seen, too
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / most).max(1) };
    html! {
        p { (all) " versions in the last 24 hours, at most " (most) " in one of them" }
        svg.hours viewBox={ "0 0 " (width) " " (HEIGHT) } role="img" aria-label={ (provider) ": versions by hour" }
            preserveAspectRatio="none" {
            @for (n, count) in hourly.iter().enumerate() {
                @let height = height(*count);
                rect x=(n * HOUR) y=(HEIGHT - height) width=(HOUR - 1) height=(height) {}
            }
        }
        details id={ "hours-" (provider) } {
            summary { "By hour" }
            (table(&format!("{provider}: versions published, by hour"), &["Hours ago", "#Versions"],
                hourly.iter().rev().enumerate().map(|(ago, count)| html! {
                    th scope="row" { (ago) " to " (ago + 1) }
                    td.number { (count) }
                })))
        }
    }
}
