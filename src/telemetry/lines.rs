//! Log lines that say which trace they are of.

use std::fmt::Result;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;

/// The lines of another format, with `trace_id` where there is one.
pub struct WithTraceId<F> {
    pub lines: F,
    pub format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithTraceId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let Some(id) = tributary_traces::trace_id() else {
            return self.lines.format_event(context, writer, event);
        };
        if self.format == LogFormat::Pretty {
            write!(writer, "trace_id={id} ")?;
            return self.lines.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(fields) => writeln!(writer, "{fields},\"trace_id\":\"{id}\"}}"),
            None => writer.write_str(&line),
        }
    }
}
