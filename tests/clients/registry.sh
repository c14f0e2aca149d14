#!/usr/bin/env bash
# Real clients push to and pull from `kist registry serve`, and must see the same digests: without TLS,
# with TLS, with TLS and users, with TLS and tokens. A client that is not installed is named and left out.
. "$(dirname "$0")/lib.sh"
needs skopeo openssl curl
port=$((20000 + $$ % 10000))
left_out=()
# Those that Debian does not have are Go modules: fetched and built once, outside of the repository.
go_programs=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kist-tests/go
export PATH=$PATH:$go_programs
go_install() { command -v "$1" >/dev/null || ! command -v go >/dev/null || GOBIN=$go_programs GOFLAGS=-mod=mod go install -p 1 "$2" >&2 || true; }
go_install crane github.com/google/go-containerregistry/cmd/crane@v0.22.1
go_install oras oras.land/oras/cmd/oras@v1.3.6
have() { command -v "$1" >/dev/null || { [[ " ${left_out[*]} " == *" $1 "* ]] || left_out+=("$1"); return 1; }; }

# An image with a layer of gzip and one of zstd where zstd is at hand, in the layout of OCI.
root_tar
head -c 3000000 /dev/urandom >"$work/random"
tar -C "$work" -cf "$work/second.tar" random
python3 - "$work" <<'PYTHON'
import gzip, hashlib, json, pathlib, sys
work = pathlib.Path(sys.argv[1])
layout = work / "layout"
(layout / "blobs/sha256").mkdir(parents=True)
def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
layers, ids = [], []
for name in ("root.tar", "second.tar"):
    data = (work / name).read_bytes()
    layers.append(blob(gzip.compress(data, 1, mtime=0), "layer.v1.tar+gzip"))
    ids.append("sha256:" + hashlib.sha256(data).hexdigest())
config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["echo", "hi"]},
                          "rootfs": {"type": "layers", "diff_ids": ids}}).encode(), "config.v1+json")
manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "config": config, "layers": layers}).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "one"}
(layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
(layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
(work / "digest").write_text(manifest["digest"])
(work / "config-digest").write_text(config["digest"])
PYTHON
digest=$(cat "$work/digest")
config_digest=$(cat "$work/config-digest")

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
# ada:secret; the lowest cost that bcrypt has.
echo 'ada:'"$(python3 -W ignore -c 'import crypt; print(crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))')" >"$work/users"

server=
stop_server() { [ -z "$server" ] || { kill "$server"; wait "$server" || true; }; server=; }
undo+=('stop_server')
# start_server ARGUMENT…
start_server() {
  stop_server
  "$KIST" registry serve --listen "127.0.0.1:$port" --root "$work/registry-$mode" --access-log "$work/access-$mode" "$@" 2>"$work/serve.log" &
  server=$!
  for _ in $(seq 100); do
    curl -sk -o /dev/null "$scheme://127.0.0.1:$port/healthz" && return
    kill -0 $server 2>/dev/null || { cat "$work/serve.log" >&2; return 1; }
    sleep 0.1
  done
}

# What the registry itself says of a tag.
served() { curl -sfk -u ada:secret -I -H 'Accept: */*' "$scheme://localhost:$port/v2/$1/manifests/$2" | tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" {print $2}'; }

try_skopeo() {
  local flags=(--insecure-policy) to=(--dest-tls-verify=false) from=(--src-tls-verify=false)
  if [ "$scheme" = https ]; then to=(--dest-cert-dir "$work/certs"); from=(--src-cert-dir "$work/certs"); fi
  if [ -n "$user" ]; then to+=(--dest-creds "$user"); from+=(--src-creds "$user"); fi
  status_is "$mode: skopeo pushes" 0 skopeo "${flags[@]}" copy "${to[@]}" "oci:$work/layout:one" "docker://localhost:$port/by/skopeo:one"
  is "$mode: skopeo's digest" "$(served by/skopeo one)" "$digest"
  status_is "$mode: skopeo pulls" 0 skopeo "${flags[@]}" copy "${from[@]}" "docker://localhost:$port/by/skopeo:one" "oci:$work/skopeo-$mode:one"
  is "$mode: skopeo's copy" "$(python3 -c "import json; print(json.load(open('$work/skopeo-$mode/index.json'))['manifests'][0]['digest'])")" "$digest"
  status_is "$mode: skopeo mounts into another repository" 0 skopeo "${flags[@]}" copy "${from[@]}" "${to[@]}" \
    "docker://localhost:$port/by/skopeo:one" "docker://localhost:$port/by/skopeo-too:two"
  is "$mode: the mounted image" "$(served by/skopeo-too two)" "$digest"
}

try_podman() {
  have podman || return 0
  local podman=(podman --root "$work/podman-$mode" --runroot "$work/podman-run-$mode" --tmpdir "$work/podman-tmp" --storage-driver vfs)
  local flags=(--tls-verify=false)
  [ "$scheme" = https ] && flags=(--cert-dir "$work/certs")
  [ -n "$user" ] && flags+=(--creds "$user")
  status_is "$mode: podman pulls" 0 "${podman[@]}" pull -q "${flags[@]}" "localhost:$port/by/skopeo:one"
  says "$mode: podman's configuration" "${config_digest#sha256:}" "${podman[@]}" image inspect -f '{{.Id}}' "localhost:$port/by/skopeo:one"
  status_is "$mode: podman pushes" 0 "${podman[@]}" push -q "${flags[@]}" "localhost:$port/by/skopeo:one" "localhost:$port/by/podman:one"
  status_is "$mode: podman pulls its own" 0 "${podman[@]}" pull -q "${flags[@]}" "localhost:$port/by/podman:one"
  says "$mode: podman's image" "${config_digest#sha256:}" "${podman[@]}" image inspect -f '{{.Id}}' "localhost:$port/by/podman:one"
}

try_crane() {
  have crane || return 0
  local flags=()
  [ "$scheme" = http ] && flags=(--insecure)
  export SSL_CERT_FILE=$work/cert.pem DOCKER_CONFIG=$work/crane-$mode
  if [ -n "$user" ]; then crane auth login "localhost:$port" -u "${user%:*}" -p "${user#*:}" >/dev/null 2>&1; fi
  status_is "$mode: crane pushes" 0 crane "${flags[@]}" push "$work/layout" "localhost:$port/by/crane:one"
  is "$mode: crane's digest" "$(served by/crane one)" "$digest"
  status_is "$mode: crane validates" 0 crane "${flags[@]}" validate --remote "localhost:$port/by/crane:one"
  says "$mode: crane lists" one crane "${flags[@]}" ls "localhost:$port/by/crane"
  status_is "$mode: crane copies" 0 crane "${flags[@]}" copy "localhost:$port/by/crane:one" "localhost:$port/by/crane-too:one"
  status_is "$mode: crane deletes" 0 crane "${flags[@]}" delete "localhost:$port/by/crane-too@$digest"
  unset SSL_CERT_FILE DOCKER_CONFIG
}

try_oras() {
  have oras || return 0
  local flags=(--plain-http)
  [ "$scheme" = https ] && flags=(--plain-http=false --ca-file "$work/cert.pem")
  [ -n "$user" ] && flags+=(-u "${user%:*}" -p "${user#*:}")
  export DOCKER_CONFIG=$work/oras-$mode
  echo "a report" >"$work/report.txt"
  (
    cd "$work"
    status_is "$mode: oras pushes" 0 oras push "${flags[@]}" "localhost:$port/by/oras:one" report.txt:text/plain
    status_is "$mode: oras attaches" 0 oras attach "${flags[@]}" --artifact-type application/x.report "localhost:$port/by/skopeo:one" report.txt
    says "$mode: oras discovers" 1 sh -c "oras discover ${flags[*]} --format json localhost:$port/by/skopeo:one | grep -c '\"application/x.report\"'"
    mkdir -p "oras-out-$mode"
    status_is "$mode: oras pulls" 0 oras pull "${flags[@]}" -o "oras-out-$mode" "localhost:$port/by/oras:one"
    is "$mode: oras' file" "$(cat "oras-out-$mode/report.txt")" "a report"
  )
  checks=$((checks + 5))
  unset DOCKER_CONFIG
}

try_docker() {
  have dockerd && have docker || return 0
  # Its client trusts loopback without TLS, and certs.d with.
  mkdir -p "/etc/docker/certs.d/localhost:$port"
  cp "$work/cert.pem" "/etc/docker/certs.d/localhost:$port/ca.crt"
  undo+=("rm -rf '/etc/docker/certs.d/localhost:$port'; rmdir /etc/docker/certs.d /etc/docker")
  if [ -z "${dockerd:-}" ]; then
    dockerd --data-root "$work/data" --exec-root "$work/exec" -H "unix://$work/d.sock" -p "$work/pid" --bridge none --iptables=false \
      >"$work/dockerd.log" 2>&1 &
    dockerd=$!
    undo+=('kill $dockerd; wait $dockerd')
    for _ in $(seq 150); do
      docker -H "unix://$work/d.sock" version >/dev/null 2>&1 && break
      kill -0 $dockerd 2>/dev/null || { left_out+=("docker (its daemon does not start here)"); dockerd=none; break; }
      sleep 0.2
    done
  fi
  [ "$dockerd" = none ] && return
  local docker=(docker -H "unix://$work/d.sock" --config "$work/docker-$mode")
  [ -n "$user" ] && "${docker[@]}" login -u "${user%:*}" -p "${user#*:}" "localhost:$port" >/dev/null 2>&1
  status_is "$mode: docker pulls" 0 "${docker[@]}" pull -q "localhost:$port/by/skopeo:one"
  says "$mode: docker's digest" "localhost:$port/by/skopeo@$digest" "${docker[@]}" image inspect -f '{{index .RepoDigests 0}}' "localhost:$port/by/skopeo:one"
  "${docker[@]}" tag "localhost:$port/by/skopeo:one" "localhost:$port/by/docker:one"
  status_is "$mode: docker pushes" 0 "${docker[@]}" push -q "localhost:$port/by/docker:one"
  local pushed
  pushed=$(served by/docker one)
  "${docker[@]}" rmi -f "localhost:$port/by/docker:one" "localhost:$port/by/skopeo:one" >/dev/null
  status_is "$mode: docker pulls its own" 0 "${docker[@]}" pull -q "localhost:$port/by/docker@$pushed"
  says "$mode: docker's image" "$config_digest" "${docker[@]}" image inspect -f '{{.Id}}' "localhost:$port/by/docker@$pushed"
  "${docker[@]}" rmi -f "localhost:$port/by/docker@$pushed" >/dev/null
}

try_containerd() {
  have containerd && have ctr || return 0
  if [ -z "${containerd:-}" ]; then
    printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s"\n' \
      "$work/root-of-containerd" "$work/state" "$work/c.sock" >"$work/config.toml"
    containerd --config "$work/config.toml" >"$work/containerd.log" 2>&1 &
    containerd=$!
    undo+=('kill $containerd; wait $containerd')
    for _ in $(seq 100); do
      ctr -a "$work/c.sock" version >/dev/null 2>&1 && break
      kill -0 $containerd 2>/dev/null || { left_out+=("containerd (does not start here)"); containerd=none; break; }
      sleep 0.2
    done
  fi
  [ "$containerd" = none ] && return
  local ctr=(ctr -a "$work/c.sock" -n "kist-$mode") flags=(--plain-http)
  # Left alone it speaks to loopback without TLS.
  mkdir -p "$work/hosts/localhost:$port"
  printf 'server = "https://localhost:%s"\n[host."https://localhost:%s"]\n  capabilities = ["pull", "resolve", "push"]\n  ca = "%s"\n' \
    "$port" "$port" "$work/cert.pem" >"$work/hosts/localhost:$port/hosts.toml"
  [ "$scheme" = https ] && flags=(--hosts-dir "$work/hosts")
  [ -n "$user" ] && flags+=(--user "$user")
  status_is "$mode: containerd pulls" 0 "${ctr[@]}" images pull "${flags[@]}" --snapshotter native "localhost:$port/by/skopeo:one"
  says "$mode: containerd's digest" "$digest" sh -c "${ctr[*]} images ls | awk 'NR == 2 {print \$3}'"
  "${ctr[@]}" images tag "localhost:$port/by/skopeo:one" "localhost:$port/by/containerd:one" >/dev/null
  status_is "$mode: containerd pushes" 0 "${ctr[@]}" images push "${flags[@]}" "localhost:$port/by/containerd:one"
  is "$mode: containerd's pushed digest" "$(served by/containerd one)" "$digest"
}

mkdir -p "$work/certs"
cp "$work/cert.pem" "$work/certs/ca.crt"
cat >"$work/tokens.toml" <<CONF
[auth]
tokens = true
CONF
tls=(--tls-cert "$work/cert.pem" --tls-key "$work/key.pem")
for mode in plain tls users tokens; do
  scheme=https user=ada:secret
  case $mode in
    plain) scheme=http user=; start_server ;;
    tls) user=; start_server "${tls[@]}" ;;
    users) start_server "${tls[@]}" --htpasswd "$work/users" ;;
    tokens) start_server "${tls[@]}" --htpasswd "$work/users" --config "$work/tokens.toml" ;;
  esac
  if [ -n "$user" ]; then
    is "$mode: nobody without a password" "$(curl -sk -o /dev/null -w '%{http_code}' "$scheme://localhost:$port/v2/by/skopeo/tags/list")" 401
    is "$mode: nobody with a wrong one" "$(curl -sk -u ada:wrong -o /dev/null -w '%{http_code}' "$scheme://localhost:$port/v2/")" 401
  fi
  for client in skopeo podman crane oras docker containerd; do try_$client; done
  kill -0 "$server"
done
[ ${#left_out[@]} = 0 ] || echo "LEFT OUT, not installed: ${left_out[*]}" >&2
