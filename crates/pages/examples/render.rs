//! Renders models of pages to files, to look at them: `cargo run -p pages --example render -- OUT MODEL.json…`
//!
//! Writes `OUT/<name of the model>.html`, and the stylesheet as `OUT/style.css`.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = env::args_os().skip(1).map(PathBuf::from);
    let out = paths.next().ok_or("usage: render OUT MODEL.json…")?;
    fs::create_dir_all(&out)?;
    fs::write(out.join("style.css"), pages::STYLESHEET)?;
    for path in paths {
        let model = serde_json::from_slice(&fs::read(&path)?)?;
        let page = match serde_json::Value::get(&model, "page") {
            Some(_) => pages::render(&model).map_err(|error| format!("{}: {error}", path.display()))?,
            None => pages::problem(&model),
        };
        let name = path.file_stem().ok_or("a model needs a name")?;
        fs::write(out.join(name).with_extension("html"), page)?;
    }
    Ok(())
}
