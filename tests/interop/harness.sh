# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# A small internet of its own, in namespaces that vanish with the script: a resolver (unbound), an ACME CA (pebble)
# that really validates, the zone example.com of a user, and acme-delegate. Sourced by the tests beside it and by
# demo/run. Nothing here touches the machine's port 53, its resolv.conf or its trusted certificates.
#
#   127.0.0.1  the user's resolver
#   127.0.0.2  acme-delegate: ns1.auth.example.org, auth.example.org
#   127.0.0.3  the CA, acme.example.net, with a resolver of its own

root=$(cd "$(dirname "$0")/${harness_up:-../..}" && pwd)
PATH=$PATH:/usr/sbin:/sbin
server=${ACME_DELEGATE:-$root/build/acme-delegate}
hook=$root/contrib/acme-delegate-hook
api=https://auth.example.org
directory=https://acme.example.net/dir
zone=example.com # the user's
domain=$zone     # what the certificate is for
here=''          # a client's own folder, when several run at once
started=''    # pids, latest first
logs_shown='' # so that they are not shown twice

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# ---- namespaces -------------------------------------------------------------------------------------------------

# Prints the options of unshare that work here: as root, or with a user namespace of our own.
namespace_options() {
	for options in '' '-r'; do
		# shellcheck disable=SC2086
		if unshare $options -n -m -p -f --kill-child \
			sh -c 'ip link set lo up && mount --bind /etc/passwd /etc/passwd' 2>/dev/null; then
			echo "$options -n -m -p -f --kill-child"
			return 0
		fi
	done
	die "$0 needs network and mount namespaces of its own, and this system does not permit them.
In a container, add: --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined
(docker and podman; --privileged also works). On a machine, run it as root."
}

# Runs the calling script again inside namespaces, with what it was told in the environment; returns only there.
enter_namespaces() {
	if [ "${ACME_DELEGATE_INSIDE-}" = "$0" ]; then
		unset ACME_DELEGATE_INSIDE
		return 0
	fi
	[ -x "$server" ] || die "$server is missing; build it first with: make"
	server=$(cd "$(dirname "$server")" && pwd)/$(basename "$server")
	options=$(namespace_options) || exit 1
	export ACME_DELEGATE="$server" ACME_DELEGATE_INSIDE="$0"
	# shellcheck disable=SC2086
	exec unshare $options "$0"
}

# A file of ours takes the place of the machine's in this mount namespace. A link (resolv.conf often is one) is
# followed; what the machine does not have cannot be covered.
cover() {
	[ -e "$1" ] || die "$1 does not exist on this machine"
	mount --bind "$2" "$1"
}

# ---- processes and waiting --------------------------------------------------------------------------------------

# usage: run_as NAME COMMAND...  starts it in the background with its output in log/NAME.
run_as() {
	name=$1
	shift
	"$@" >"$work/log/$name" 2>&1 </dev/null &
	started="$! $started"
}

# usage: wait_until WHAT COMMAND...  tries ten times a second, for 15 seconds or until the process started last has died.
wait_until() {
	what=$1
	shift
	give_up=$(($(date +%s) + 15))
	until "$@" >/dev/null 2>&1; do
		if ! kill -0 "${started%% *}" 2>/dev/null || [ "$(date +%s)" -ge $give_up ]; then
			echo "failed: $what" >&2
			return 1
		fi
		sleep 0.1
	done
}

# usage: show_logs [NAME]...  the end of these logs, or of all.
show_logs() {
	[ $# -gt 0 ] || set -- $(ls "$work/log")
	for log in "$@"; do
		[ -s "$work/log/$log" ] || continue
		printf '\n--- end of the log of %s\n' "$log"
		tail -n 25 "$work/log/$log"
	done >&2
	logs_shown=1
}

leave() {
	status=$?
	trap '' INT TERM
	[ $status = 0 ] || [ $status -ge 128 ] || [ -n "$logs_shown" ] || show_logs
	for pid in $started; do kill "$pid" 2>/dev/null || :; done
	for pid in $started; do wait "$pid" 2>/dev/null || :; done
	if [ "${KEEP-}" = 1 ]; then echo "kept: $work" >&2; else rm -rf "$work"; fi
	exit $status
}

# ---- the parts --------------------------------------------------------------------------------------------------

# A CA for the two web servers (the ACME directory and our API), trusted in this namespace only.
make_web_certificates() {
	mkdir "$work/tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=Local Web CA' \
		-keyout "$work/tls/ca.key" -out "$work/tls/ca.pem" 2>/dev/null
	for name in acme.example.net auth.example.org; do
		printf 'subjectAltName=DNS:%s\n' "$name" >"$work/tls/$name.ext"
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
			-keyout "$work/tls/$name.key" -out "$work/tls/$name.csr" 2>/dev/null
		openssl x509 -req -in "$work/tls/$name.csr" -CA "$work/tls/ca.pem" -CAkey "$work/tls/ca.key" -days 2 \
			-CAcreateserial -extfile "$work/tls/$name.ext" -out "$work/tls/$name.pem" 2>/dev/null
	done
	cover /etc/ssl/certs/ca-certificates.crt "$work/tls/ca.pem"
}

# The user's own zone, as it stands in any DNS hosting; lines are added with set_cname.
make_user_zone() {
	cat >"$work/$zone.zone" <<-EOF
		\$ORIGIN $zone.
		@ 5 IN SOA ns1.$zone. hostmaster.$zone. 1 3600 600 86400 2
		@ 5 IN NS ns1.$zone.
		ns1 5 IN A 127.0.0.1
		www 5 IN A 192.0.2.1
	EOF
}

# usage: start_resolver NAME ADDRESS [SETTING]...  The CA's has Let's Encrypt's settings (0x20 on, 1232 bytes, nothing
# cached); the user's is the same but caches. The binary is copied because Debian's AppArmor profile ties the one in
# /usr/sbin to /etc/unbound.
start_resolver() {
	name=$1 address=$2
	shift 2
	[ -e "$work/unbound" ] || cp "$(command -v unbound)" "$work/unbound"
	cat >"$work/$name.conf" <<-EOF
		server:
		  interface: $address
		  directory: "$work"
		  chroot: ""
		  username: ""
		  pidfile: ""
		  use-syslog: no
		  num-threads: 1
		  module-config: "iterator"
		  do-ip6: no
		  do-not-query-localhost: no
		  use-caps-for-id: yes
		  edns-buffer-size: 1232
		  qname-minimisation: no
		  log-servfail: yes
		  local-zone: "acme.example.net." static
		  local-data: "acme.example.net. 60 IN A 127.0.0.3"
		$(printf '  %s\n' "$@")
		remote-control:
		  control-enable: yes
		  control-interface: "$work/$name.sock"
		  control-use-cert: no
		auth-zone:
		  name: "$zone"
		  zonefile: "$work/$zone.zone"
		  for-upstream: yes
		  for-downstream: no
		stub-zone:
		  name: "auth.example.org"
		  stub-addr: 127.0.0.2
	EOF
	run_as "$name" "$work/unbound" -d -p -c "$work/$name.conf"
	wait_until "$name answers" dig_short A www.$zone "$address"
}

start_resolvers() {
	start_resolver resolver 127.0.0.1
	start_resolver resolver-of-the-ca 127.0.0.3 'cache-max-ttl: 0' 'cache-max-negative-ttl: 0'
	printf 'nameserver 127.0.0.1\noptions timeout:2 attempts:2\n' >"$work/resolv.conf"
	cover /etc/resolv.conf "$work/resolv.conf"
	if [ -e /etc/nsswitch.conf ]; then
		printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$work/nsswitch.conf"
		cover /etc/nsswitch.conf "$work/nsswitch.conf"
	fi
}

# usage: dig_short TYPE NAME [SERVER]  fails without an answer; dig's own complaints, in the same stream, are none.
dig_short() { dig +time=1 +tries=2 +short "$1" "$2" ${3:+"@$3"} | grep -v '^;'; }

resolver_control() {
	for name in resolver resolver-of-the-ca; do
		unbound-control -c "$work/$name.conf" "$@" >>"$work/log/unbound-control" 2>&1
	done
}

# usage: set_cname ALIAS DELEGATE  adds `_acme-challenge.ALIAS CNAME DELEGATE` to the user's zone, or replaces it. One
# at a time: clients run side by side.
set_cname() {
	(
		flock 9
		sed -i "/^_acme-challenge\\.$1\\. /d; s/hostmaster.$zone. [0-9]*/&1/" "$work/$zone.zone"
		printf '_acme-challenge.%s. 5 IN CNAME %s.\n' "$1" "$2" >>"$work/$zone.zone"
		resolver_control auth_zone_reload "$zone"
		resolver_control flush_zone "$zone"
	) 9>"$work/zone.lock"
}

# usage: start_ca PEBBLE
start_ca() {
	cat >"$work/pebble.json" <<-EOF
		{"pebble": {"listenAddress": "127.0.0.3:443", "managementListenAddress": "127.0.0.3:15000",
		 "certificate": "$work/tls/acme.example.net.pem", "privateKey": "$work/tls/acme.example.net.key",
		 "retryAfter": {"authz": 1, "order": 1}, "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false}}
	EOF
	run_as pebble env PEBBLE_VA_NOSLEEP=1 PEBBLE_AUTHZREUSE=0 PEBBLE_WFE_NONCEREJECT=0 \
		"$1" -config "$work/pebble.json" -dnsserver 127.0.0.3:53
	wait_until "the CA answers" curl -sf -m 2 "$directory"
	curl -sfk -m 5 -o "$work/root.pem" https://127.0.0.3:15000/roots/0
}

write_server_config() {
	# A user namespace made for this script may know one account only.
	if awk '$3 > 65534 { found = 1 } END { exit !found }' /proc/self/uid_map; then account=nobody; else account=root; fi
	[ -d "$work/admin" ] || mkdir "$work/admin"
	# A reload reads the key again when root has long been given up, so the account has to be able to.
	chown "$account" "$work/tls/auth.example.org.key"
	cat >"$work/acme-delegate.yaml" <<-EOF
		user: $account
		zones:
		  - name: auth.example.org
		    nameservers:
		      - {name: ns1.auth.example.org, addresses: [127.0.0.2]}
		    contact: hostmaster@example.org
		    records: ["@ 3600 A 127.0.0.2"]
		dns:
		  listen: ["127.0.0.2:53"]
		api:
		  listen: ["127.0.0.2:443"]
		  url: $api
		  tls: {mode: files, certificate: $work/tls/auth.example.org.pem, key: $work/tls/auth.example.org.key}
		store: {path: $work/store}
		admin: {socket: $work/admin/socket}
	EOF
}

start_server() {
	write_server_config
	run_as acme-delegate "$server" serve -c "$work/acme-delegate.yaml"
	server_pid=${started%% *}
	wait_until "acme-delegate answers DNS queries" dig_short SOA auth.example.org 127.0.0.2
	wait_until "acme-delegate's API is healthy" curl -sf -m 2 "$api/health"
}

# Everything but the parts themselves: a folder, the loopback interface, the traps that clean up.
prepare() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/acme-delegate.XXXXXX")
	chmod 711 "$work" # the server gives up root and still has to reach its store
	mkdir "$work/log" "$work/home"
	trap leave EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mount -t proc proc /proc 2>/dev/null || : # comfort only: some containers forbid it
	ip link set lo up
	export HOME="$work/home"
	unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR \
		CURL_CA_BUNDLE REQUESTS_CA_BUNDLE XDG_CONFIG_HOME
	cd "$work" || exit 1
	make_web_certificates
	make_user_zone
}

# ---- registration and certificates ------------------------------------------------------------------------------

json_field() { sed -n "s/.*\"$2\": *\"\\([^\"]*\\)\".*/\\1/p" "$1"; }

# Registers as a person would with curl; sets user, key, subdomain and fulldomain.
register() {
	curl -sf -m 10 -X POST "$api/register" -o "${here:-$work}/registration.json"
	read_registration
}

read_registration() {
	user=$(json_field "${here:-$work}/registration.json" username)
	key=$(json_field "${here:-$work}/registration.json" password)
	# shellcheck disable=SC2034
	subdomain=$(json_field "${here:-$work}/registration.json" subdomain)
	fulldomain=$(json_field "${here:-$work}/registration.json" fulldomain)
}

# usage: register_for FORMAT FILE [CURL-OPTION]...  registers and keeps the answer: the settings of a client, for $domain and
# its wildcard. Sets fulldomain to what they say, and the CNAME with it, as their reader would.
register_for() {
	format=$1 file=$2
	shift 2
	(umask 077; curl -sSf -m 10 -X POST "$@" "$api/v1/register?format=$format&domain=$domain&domain=*.$domain" -o "$file")
	case $format in
	lego | certbot) fulldomain=$(json_field "$file" fulldomain) ;;
	*) fulldomain=$(sed -n "s/^#   _acme-challenge\\.$domain\\. CNAME \\(.*\\)\\.\$/\\1/p" "$file") ;;
	esac
	[ -n "$fulldomain" ]
	set_cname "$domain" "$fulldomain"
}

# All delegates there are, for tests that nothing was registered.
delegates() { "$server" delegate list -c "$work/acme-delegate.yaml" --json | wc -l; }

# usage: make_acmedns_database DOMAIN...  an acme-dns database with an account for each, as its users have them: in
# DOMAIN.old.json the file of goacmedns's storage, in DOMAIN.old.credentials a line for our hook.
make_acmedns_database() {
	PYTHONPATH=$root/tests/scenario /usr/bin/python3 - "$work" "$@" <<-'EOF'
		import json, pathlib, sys
		import acmedns_db
		work, accounts = pathlib.Path(sys.argv[1]), []
		for domain in sys.argv[2:]:
		    a = acmedns_db.account()
		    accounts.append(a)
		    api, name = "https://auth.example.org", a["Subdomain"] + ".auth.example.org"
		    account = {"fulldomain": name, "subdomain": a["Subdomain"], "username": a["Username"],
		               "password": a["secret"], "server_url": api}
		    (work / (domain + ".old.json")).write_text(json.dumps({domain: account}))
		    (work / (domain + ".old.credentials")).write_text(
		        "\t".join((domain, a["Username"], a["secret"], a["Subdomain"], api, name)) + "\n")
		acmedns_db.sqlite(work / "acme-dns.db", accounts)
	EOF
	write_server_config
	"$server" import -c "$work/acme-delegate.yaml" acme-dns --sqlite "$work/acme-dns.db" >"$work/log/import" 2>&1
}

names_of() { openssl x509 -in "$1" -noout -ext subjectAltName | grep -o 'DNS:[^, ]*' | sed "s/DNS://" | LC_ALL=C sort | paste -sd ' ' -; }

# usage: check_certificate FILE [CHAIN]  names, and a chain up to pebble's root (the intermediate is in FILE or CHAIN).
check_certificate() {
	[ -s "$1" ] || { echo "no certificate in $1" >&2; return 1; }
	names=$(names_of "$1")
	[ "$names" = "*.$domain $domain" ] || { echo "the certificate is for: $names" >&2; return 1; }
	openssl verify -CAfile "$work/root.pem" -untrusted "${2:-$1}" "$1" >/dev/null
}

# What the delegate holds now, asked of the server itself.
values_of() { dig_short TXT "$1" 127.0.0.2 | sort; }

# ---- results ----------------------------------------------------------------------------------------------------

passed=0
failed=0

# usage: run_one LOG COMMAND...  in a subshell, so that a failure ends that client only and its settings stay its own.
# `set -e` holds in a subshell only where nothing asks for its status, hence $? on a line of its own.
run_one() {
	client_log=$1
	shift
	set +e
	(set -e; trap - EXIT; "$@") >"$work/log/$client_log" 2>&1
	result=$?
	set -e
}

# usage: report RESULT NAME SECONDS LOG
report() {
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		printf 'ok      %-62s %3d s\n' "$2" "$3"
	else
		failed=$((failed + 1))
		printf 'FAILED  %s\n' "$2"
		show_logs "$4" pebble acme-delegate
	fi
}

# usage: client NAME COMMAND...
client() {
	name=$1
	shift
	begin=$(date +%s)
	run_one client "$@"
	report "$result" "$name" $(($(date +%s) - begin)) client
}

# usage: beside LABEL NAME COMMAND...  the same, with others at the same time: most of what a client does is waiting. It has a
# folder of its own, and a domain, LABEL below the user's zone. together() waits for all.
beside() {
	label=$1 name=$2
	shift 2
	mkdir "$work/$label"
	(
		trap - EXIT INT TERM
		here=$work/$label domain=$label.$zone begin=$(date +%s)
		run_one "client-$label" "$@"
		printf '%s\n%s\n%s\n' "$result" "$name" $(($(date +%s) - begin)) >"$here/result"
	) &
	side_by_side="${side_by_side-} $label:$!"
}

together() {
	for one in ${side_by_side-}; do
		wait "${one#*:}" || :
		label=${one%%:*}
		if [ -s "$work/$label/result" ]; then
			{ read -r result; read -r name; read -r seconds; } <"$work/$label/result"
			report "$result" "$name" "$seconds" "client-$label"
		else
			report 1 "$label did not end as it should" 0 "client-$label"
		fi
	done
	side_by_side=''
}

summary() {
	# No client may have brought down a part of the server, even if it came back in time.
	if grep -E 'Sanitizer|runtime error|starting it again' "$work/log/acme-delegate"; then
		failed=$((failed + 1))
		echo "FAILED  the server's own log"
	fi
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}
