//! nginx as what most people have in front of a server: a plain reverse proxy with kept-alive connections to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Fallible;

/// Where nginx is: `NGINX_BIN`, else PATH, else `/usr/sbin`, where Debian puts it.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("NGINX_BIN") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.map(|place| place.join("nginx")).find(|file| file.is_file())
}

/// nginx from `program`, configured in `directory`, from `listen` to `upstream`.
///
/// # Errors
/// The configuration cannot be written.
pub(crate) fn command(program: &Path, directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> Fallible<Command> {
    let file = directory.join("nginx.conf");
    std::fs::write(&file, configuration(directory, listen, upstream))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).arg("-e").arg(directory.join("error.log")).arg("-c").arg(file);
    Ok(command)
}

/// Requests on a connection are not limited in number: reconnecting is not what is compared here.
fn configuration(directory: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let place = directory.display();
    format!(
        "daemon off;
worker_processes 2;
pid {place}/nginx.pid;
error_log {place}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  upstream tool {{
    server {upstream};
    keepalive 128;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      proxy_pass http://tool;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}
