//! AWS on loopback: the `moto` server, spoken to by the SDK as if it were AWS.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::python::python_program;
use crate::server::closed_port;

/// One server for all tests: each uses names of its own.
pub(crate) struct Moto {
    port: u16,
    // It ends when this end of its standard input does, which is with the test process.
    _guard: Child,
}

/// The server.
pub(crate) fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(|| {
        let port = closed_port();
        let guard = Command::new("sh")
            .args(["-c", "\"$0\" -H 127.0.0.1 -p \"$1\" & read _; kill $!"])
            .arg(python_program("moto_server"))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(50));
        }
        Moto { port, _guard: guard }
    })
}

impl Moto {
    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The variables of a program that meets it instead of AWS.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("AWS_ENDPOINT_URL", self.url())].into_iter().chain(credentials()).collect()
    }

    /// Puts a parameter, and gives its version.
    pub(crate) fn put_parameter(&self, name: &str, value: &str) -> u64 {
        let parameter =
            json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        let answer = self.call("ssm", "AmazonSSM.PutParameter", &parameter);
        answer["Version"].as_u64().expect("a version")
    }

    /// Puts a secret of Secrets Manager.
    pub(crate) fn put_secret(&self, name: &str, value: &str) {
        let secret = json!({"Name": name, "SecretString": value, "ClientRequestToken": "0123456789abcdef0123456789abcdef"});
        self.call("secretsmanager", "secretsmanager.CreateSecret", &secret);
    }

    /// Makes a bucket.
    pub(crate) fn make_bucket(&self, bucket: &str) {
        let here = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        self.put(bucket, here);
    }

    /// Puts an object, and its bucket.
    pub(crate) fn put_object(&self, bucket: &str, key: &str, text: &str) {
        self.make_bucket(bucket);
        self.put(&format!("{bucket}/{key}"), text);
    }

    /// Puts an object into a bucket that is there, or the bucket.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let request = ureq::put(format!("{}/{path}", self.url()));
        request.header("Authorization", authorization("s3")).send(text).expect("it is put");
    }

    /// An object as text; `None` where there is none.
    pub(crate) fn object(&self, path: &str) -> Option<String> {
        let request = ureq::get(format!("{}/{path}", self.url()));
        let answer = request.header("Authorization", authorization("s3")).call();
        answer.ok().map(|mut answer| answer.body_mut().read_to_string().expect("text"))
    }

    /// The keys of a bucket's objects.
    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        let page = self.object(bucket).expect("a bucket");
        let keys = page.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let request = ureq::post(self.url())
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .header("Authorization", authorization(service));
        let mut answer = request.send(body.to_string()).expect("it is called");
        let text = answer.body_mut().read_to_string().expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Region and credentials.
pub(crate) fn credentials() -> [(&'static str, String); 3] {
    [
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI".to_owned()),
    ]
}

pub(crate) fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}
