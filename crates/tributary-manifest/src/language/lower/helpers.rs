//! What the jq of every file can call: how fields are read so that an error names them.

/// Definitions before those of the file. Their names begin with `_`, which those of no file need to.
pub const HELPERS: &str = r#"
def _id: if type == "number" then tostring else . end;
def _text: if . == null or type == "string" then . else tostring end;
def _named($field; f): try f catch error("\($field): \(.)");
def _one($field; f): [_named($field; f)]
  | if length == 1 then .[0] else error("\($field): yields \(length) values, and not one") end;
def _list($field; f): _one($field; f)
  | if type == "array" then . else error("\($field): yields \(if . == null then "null" else type end), and not a list") end;
def _object($field; f): _one($field; f)
  | if type == "object" then . else error("\($field): yields \(if . == null then "null" else type end), and not an object") end;
def _part($field; f): [f] | if length == 1 then .[0] else null end
  | if type == "string" and trim != "" then . elif type == "number" then tostring else error("\($field) is missing") end;
def _minor: tostring as $written
  | if $written | contains(".") and (endswith(".0") | not) and (contains("e") or contains("E") | not)
    then error("\($written) is no number of minor units: major units are written so (`decimal`)") else shifted(0) end;
def _code: (.currency | split("/")[0]) as $code
  | if (try ($code | umn) catch null) == .currency then $code
    else error("currency: \(.currency) is not what the provider counts in") end;
"#;
