//! The addresses of EDGAR.

use url::Url;

use super::super::address;
use super::super::feed::{Ask, Unusable};
use crate::domain::filing::document_path;

/// EDGAR, by the parts of its addresses before its own paths.
#[derive(Debug, Clone)]
pub struct Edgar {
    base: Url,
    documents: Url,
}

impl Edgar {
    #[must_use]
    pub const fn new(base: Url, documents: Url) -> Self {
        Self { base, documents }
    }

    /// The newest filings of a filer, about a thousand, and the names of the pages with older ones.
    #[must_use]
    pub fn newest_filings(&self, cik: u64) -> Ask {
        self.ask(&format!("submissions/CIK{cik:010}.json"))
    }

    /// A page of older filings, by the name that the newest ones gave.
    ///
    /// # Errors
    /// [`Unusable::BadBody`] for a name that is not one of a page of this filer: it would lead elsewhere.
    pub fn older_filings(&self, cik: u64, name: &str) -> Result<Ask, Unusable> {
        let number = name.strip_prefix(&format!("CIK{cik:010}-submissions-"));
        let number = number.and_then(|rest| rest.strip_suffix(".json"));
        if number.is_some_and(|number| number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            return Ok(self.ask(&format!("submissions/{name}")));
        }
        Err(Unusable::BadBody(format!("{name:?} is no name of a page of older filings of {cik:010}")))
    }

    /// Every figure that a filer ever tagged; 404 if there is none.
    #[must_use]
    pub fn figures(&self, cik: u64) -> Ask {
        self.ask(&format!("api/xbrl/companyfacts/CIK{cik:010}.json"))
    }

    /// A document of a filing, by its file name: markup, or text.
    ///
    /// # Errors
    /// [`Unusable::BadBody`] for what is no file name: it would lead elsewhere.
    pub fn document(&self, cik: u64, accession: &str, name: &str) -> Result<Ask, Unusable> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(Unusable::BadBody(format!("{name:?} is no name of a document of {accession}")));
        }
        Ok(Ask::open(address(&self.documents, &document_path(cik, accession, name), &[])).taking_markup())
    }

    fn ask(&self, path: &str) -> Ask {
        Ask::open(address(&self.base, path, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edgar() -> Edgar {
        let base = Url::parse("http://127.0.0.1:9/edgar").unwrap();
        Edgar::new(base.clone(), base)
    }

    #[test]
    fn a_page_of_older_filings_is_of_the_filer() {
        let edgar = edgar();
        let asked = edgar.older_filings(749_647, "CIK0000749647-submissions-001.json").unwrap();
        assert_eq!(asked.address.as_str(), "http://127.0.0.1:9/edgar/submissions/CIK0000749647-submissions-001.json");
        for name in ["CIK0000749648-submissions-001.json", "../../x", "", "CIK0000749647-submissions-0/1.json"] {
            assert!(edgar.older_filings(749_647, name).is_err(), "{name}");
        }
    }
    #[test]
    fn a_document_is_of_its_filing() {
        let asked = edgar().document(1_507_605, "0001507605-25-000028", "mara-20251112.htm").unwrap();
        let path = "/edgar/Archives/edgar/data/1507605/000150760525000028/mara-20251112.htm";
        assert_eq!((asked.address.path(), asked.takes_markup), (path, true));
        for name in ["", "../x.htm", "xsl/form4.xml", ".htm", "a b.htm", "a?b"] {
            assert!(edgar().document(1, "0001507605-25-000028", name).is_err(), "{name}");
        }
    }
}
