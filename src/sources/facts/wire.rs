//! A table's lines and cells as text: CSV as RFC 4180 has it, one row a line, nothing guessed.

/// A line with its cells, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    pub cells: Vec<String>,
}

/// A line that is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub line: u64,
    pub found: String,
    pub advice: &'static str,
}

/// The lines of a file, without empty ones and without a byte order mark.
pub fn lines_of(bytes: &[u8]) -> Vec<Result<Line, Damage>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let numbered = (1..).zip(bytes.split(|&byte| byte == b'\n'));
    numbered
        .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| {
            let damage = |advice| Damage { line: number, found: String::from_utf8_lossy(line).into_owned(), advice };
            let text = std::str::from_utf8(line).map_err(|_| damage("write the file in UTF-8"))?;
            let cells = cells_of(text).map_err(damage)?;
            Ok(Line { number, cells })
        })
        .collect()
}

fn cells_of(line: &str) -> Result<Vec<String>, &'static str> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => plain_cell(rest)?,
        };
        if cell.chars().any(char::is_control) {
            return Err("leave control characters, such as tabs, out of cells");
        }
        cells.push(cell.trim().to_owned());
        match after {
            Some(after) => rest = after,
            None => return Ok(cells),
        }
    }
}

/// The cell up to the next comma, and what comes after that.
fn plain_cell(rest: &str) -> Result<(String, Option<&str>), &'static str> {
    let (cell, after) = match rest.split_once(',') {
        Some((cell, after)) => (cell, Some(after)),
        None => (rest, None),
    };
    if cell.contains('"') {
        return Err("put a cell with quotes into quotes as a whole, and write each quote in it twice");
    }
    Ok((cell.to_owned(), after))
}

/// The cell up to its closing quote, and what comes after the comma behind that.
fn quoted_cell(mut rest: &str) -> Result<(String, Option<&str>), &'static str> {
    let mut cell = String::new();
    loop {
        let (text, after) = rest.split_once('"').ok_or("close the quote on the same line")?;
        cell.push_str(text);
        if let Some(more) = after.strip_prefix('"') {
            cell.push('"');
            rest = more;
        } else if after.is_empty() {
            return Ok((cell, None));
        } else {
            let after = after.strip_prefix(',').ok_or("write a comma right after a closing quote")?;
            return Ok((cell, Some(after)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str) -> Result<Vec<String>, &'static str> {
        cells_of(line)
    }

    #[test]
    fn quotes_keep_commas_and_quotes() {
        assert_eq!(cells(r#"a, b ,"c, d","say ""no""","#).unwrap(), ["a", "b", "c, d", "say \"no\"", ""]);
        assert_eq!(cells("").unwrap(), [""]);
        assert_eq!(cells(r#""""#).unwrap(), [""]);
    }

    #[test]
    fn what_is_not_csv_is_not_guessed_at() {
        for line in [r#"a,"b"#, r#"a,"b"c,d"#, r#"a,b"c",d"#, r#"a,"b""#.trim_end_matches('"'), "a\tb,c"] {
            assert!(cells(line).is_err(), "{line}");
        }
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        let lines = lines_of(b"\xef\xbb\xbfa,b\r\n\n1,2\n\xff,4\n");
        assert_eq!(lines[0], Ok(Line { number: 1, cells: vec!["a".into(), "b".into()] }));
        assert_eq!(lines[1].as_ref().unwrap().number, 3);
        assert_eq!(lines[2].as_ref().unwrap_err().line, 4);
        assert_eq!(lines.len(), 3);
        assert!(lines_of(b"").is_empty());
    }
}
