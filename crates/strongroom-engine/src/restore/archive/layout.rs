//! Which file of a dump directory (`mongodump --out`) is what, by its name alone. Pure.
//!
//! `<root>/<database>/<collection>.bson` and `.metadata.json`, both perhaps with `.gz`; `<root>/oplog.bson`. Names are escaped as Go's `url.QueryEscape` does; one of more than 238 bytes is cut, and
//! its metadata says the whole (`outputPath` in mongo-tools' mongodump/prepare.go).

use std::collections::BTreeSet;

use super::{no_names, not_a_dump};
use crate::error::Result;
use crate::names::Name;

/// How long a name is that was cut, and up to where it is the collection's.
const CUT_BYTES: usize = 238;
const CUT_AT: usize = 208;
const CUT_MARK: &str = "%24";
const OPLOG: &str = "oplog";

/// The files of a dump.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) data: Vec<File>,
    pub(super) metadata: Vec<File>,
    pub(super) oplog: Option<String>,
}

/// A file of one collection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) name: Name,
    /// The name was too long for a file: its metadata has it.
    pub(super) is_cut: bool,
}

/// What the end of a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Metadata,
}

/// A path in its parts: the folder, and the file's name without what it ends with.
struct Parts<'a> {
    folder: &'a str,
    stem: &'a str,
    kind: Kind,
}

impl Layout {
    /// Makes out what the files of `dump` are. Paths are relative, with `/`. `db` is the database of files that stand
    /// at the top.
    ///
    /// # Errors
    /// [`Code::Usage`](crate::error::Code::Usage) where they are not those of one dump.
    pub(super) fn of(dump: &str, paths: &[String], db: Option<&str>) -> Result<Self> {
        let known: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
        let parts: Vec<(&String, Parts<'_>)> = paths
            .iter()
            .filter(|path| !is_apples(path, &known))
            .filter_map(|path| Some((path, parts(path)?)))
            .collect();
        let root = root(dump, &parts, db)?;
        let mut layout = Self::default();
        for (path, Parts { folder, stem, kind }) in parts {
            let at_root = Some(folder) == root;
            match kind {
                Kind::Data if at_root && stem == OPLOG => layout.oplog = Some(path.clone()),
                Kind::Data => layout.data.push(File::of(path, folder, stem, db)?),
                Kind::Metadata => layout.metadata.push(File::of(path, folder, stem, db)?),
            }
        }
        Ok(layout)
    }
}

impl File {
    fn of(path: &str, folder: &str, stem: &str, db: Option<&str>) -> Result<Self> {
        let db = match (folder.rsplit('/').next(), db) {
            (Some(""), Some(db)) => db,
            (Some(folder), _) => folder,
            (None, _) => "",
        };
        let collection = unescaped(stem).ok_or_else(|| no_names(path))?;
        if db.is_empty() || collection.is_empty() || (db.to_owned() + &collection).contains('\0') {
            return Err(no_names(path));
        }
        let is_cut =
            stem.len() == CUT_BYTES && stem.get(CUT_AT..).is_some_and(|end| end.starts_with(CUT_MARK));
        Ok(Self { path: path.to_owned(), name: Name::new(db, collection), is_cut })
    }

    /// Whether `whole` may be the name that was cut.
    pub(super) fn is_cut_of(&self, whole: &str) -> bool {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        file.get(..CUT_AT).is_some_and(|cut| escaped(whole).starts_with(cut))
    }
}

/// The folder whose folders are databases; none where the files stand at the top.
fn root<'a>(dump: &str, parts: &[(&String, Parts<'a>)], db: Option<&str>) -> Result<Option<&'a str>> {
    let may_be_of_all = |parts: &Parts<'_>| parts.kind == Kind::Data && parts.stem == OPLOG;
    let of_collections = parts.iter().map(|(_, parts)| parts).filter(|parts| !may_be_of_all(parts));
    let roots: BTreeSet<Option<&str>> = of_collections
        .map(|parts| match parts.folder {
            "" => None,
            folder => Some(folder.rsplit_once('/').map_or("", |(root, _)| root)),
        })
        .collect();
    let mut roots = roots.into_iter();
    match (roots.next(), roots.next()) {
        (None, _) => Err(not_a_dump(dump, "it holds no `.bson` and no `.metadata.json` file")),
        (Some(None), None) if db.is_none() => {
            Err(not_a_dump(dump, "its files do not stand in folders that are called as their databases"))
        }
        (Some(root), None) => Ok(root),
        (Some(one), Some(other)) => {
            let [one, other] = [one, other].map(|root| match root {
                None => "at the top".to_owned(),
                Some("") => "in folders at the top".to_owned(),
                Some(root) => format!("below `{root}`"),
            });
            Err(not_a_dump(dump, &format!("it holds more than one dump: {one} and {other}")))
        }
    }
}

fn parts(path: &str) -> Option<Parts<'_>> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let file = file.strip_suffix(".gz").unwrap_or(file);
    let ends = [(".metadata.json", Kind::Metadata), (".bson", Kind::Data)];
    ends.into_iter().find_map(|(end, kind)| Some(Parts { folder, stem: file.strip_suffix(end)?, kind }))
}

/// A Mac's tar puts what it knows of a file beside it, as `._file`.
fn is_apples(path: &str, known: &BTreeSet<&str>) -> bool {
    let (folder, file) = path.rsplit_once('/').map_or(("", path), |(folder, file)| (folder, file));
    let beside = |file: &str| if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
    file.strip_prefix("._").is_some_and(|file| known.contains(beside(file).as_str()))
}

/// As Go's `url.QueryUnescape`.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// As Go's `url.QueryEscape`.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout(paths: &[&str], db: Option<&str>) -> Result<Layout> {
        Layout::of("the dump", &paths.iter().map(ToString::to_string).collect::<Vec<_>>(), db)
    }

    fn names(files: &[File]) -> Vec<String> {
        files.iter().map(|file| file.name.to_string()).collect()
    }

    #[test]
    fn files_are_what_mongodump_calls_them_wherever_the_dump_stands() {
        for root in ["", "dump/", "rs-ds012345_2019-11-23/dump/"] {
            let paths: Vec<String> = [
                "shop/a.bson",
                "shop/a.metadata.json",
                "shop/v.metadata.json.gz",
                "shop/b+c%2Fd%C3%A4.bson.gz",
                "shop/%24admin.system.users.bson",
                "shop/oplog.bson",
                "oplog.bson",
                "prelude.json",
                "README.txt",
            ]
            .map(|path| format!("{root}{path}"))
            .to_vec();
            let layout = Layout::of("dump", &paths, None).unwrap();
            let data = ["shop.a", "shop.b c/dä", "shop.$admin.system.users", "shop.oplog"];
            assert_eq!(names(&layout.data), data, "{root}");
            assert_eq!(names(&layout.metadata), ["shop.a", "shop.v"]);
            assert_eq!(layout.oplog.unwrap(), format!("{root}oplog.bson"));
        }
    }

    #[test]
    fn a_folder_of_one_database_is_called_as_it_is() {
        let found = layout(&["a.bson", "oplog.bson"], Some("shop")).unwrap();
        assert_eq!(names(&found.data), ["shop.a", "shop.oplog"]);
        let error = layout(&["a.bson"], None).unwrap_err();
        assert!(error.message().contains("called as their databases"), "{error}");
    }

    #[test]
    fn what_is_no_dump_or_several_is_said() {
        for (paths, word) in [
            (vec!["a.txt"], "no `.bson`"),
            (vec!["monday/shop/a.bson", "tuesday/shop/a.bson"], "below `monday` and below `tuesday`"),
            (vec!["shop/%zz.bson"], "`shop/%zz.bson`"),
            (vec!["shop/%ff.bson"], "`shop/%ff.bson`"),
            (vec!["shop/.bson"], "`shop/.bson`"),
            (vec!["shop/a%00.bson"], "`shop/a%00.bson`"),
        ] {
            let error = layout(&paths, None).unwrap_err();
            assert!(error.message().contains(word), "{error}");
        }
    }

    #[test]
    fn what_a_mac_adds_is_left_out() {
        let found = layout(&["shop/._a.bson", "shop/a.bson", "shop/._own.bson"], None).unwrap();
        assert_eq!(names(&found.data), ["shop.a", "shop._own"].map(|n| n.replace("._own", ".._own")));
    }

    proptest! {
        #[test]
        fn names_come_back(name in ".{0,40}") {
            prop_assert_eq!(unescaped(&escaped(&name)).unwrap(), name);
        }
    }
}
