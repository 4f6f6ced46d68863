//! From the settings of a Flink URL to a transport: secrets are read here, from environment or file, and nowhere else.

use std::sync::Arc;

use super::exit::Failure;
use crate::config::{FlinkSource, SecretSource};
use crate::flink::Transport;
use crate::flink::{HttpOptions, HttpTransport, Secret};

/// A transport for a source.
///
/// # Errors
/// If a secret or certificate cannot be read; names the source and the variable or file, never the secret.
pub fn transport(source: &FlinkSource) -> Result<Arc<dyn Transport>, Failure> {
    let named = |message: String| Failure::Failed(format!("Flink source {}: {message}", source.name));
    let mut options = HttpOptions::new(source.url.clone());
    options.ca_file = source.ca_file.clone();
    options.client_certificate_file = source.client_cert.clone();
    options.client_key_file = source.client_key.clone();
    options.insecure = source.insecure;
    options.bearer_token = source.token.as_ref().map(secret).transpose().map_err(named)?;
    for (name, from) in &source.headers {
        options.headers.push((name.clone(), secret(from).map_err(named)?));
    }
    let transport = HttpTransport::new(&options).map_err(|e| named(e.to_string()))?;
    Ok(Arc::new(transport))
}

fn secret(from: &SecretSource) -> Result<Secret, String> {
    let value = match from {
        SecretSource::Environment(name) => std::env::var(name)
            .map_err(|_| format!("environment variable {name} is not set, or is not UTF-8; set it before the start"))?,
        SecretSource::File(path) => std::fs::read_to_string(path)
            .map_err(|e| format!("cannot read {}: {e}; check the path and its permissions", path.display()))?,
    };
    if value.trim().is_empty() {
        return Err("the secret is empty".to_owned());
    }
    Ok(Secret::new(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn a_missing_secret_names_the_source_and_where_it_should_be() {
        crate::flink::install_crypto_provider();
        let mut source = FlinkSource::from_url("https://flink.example/x", Origin::BuiltIn).unwrap();
        source.token = Some(SecretSource::File("/nowhere/token".into()));
        let error = transport(&source).unwrap_err();
        assert!(error.message().contains("flink.example/x"), "{error:?}");
        assert!(error.message().contains("/nowhere/token"), "{error:?}");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n").unwrap();
        assert!(secret(&SecretSource::File(file.path().to_owned())).unwrap_err().contains("empty"));
        std::fs::write(file.path(), "abc\n").unwrap();
        assert!(secret(&SecretSource::File(file.path().to_owned())).is_ok());
    }
}
