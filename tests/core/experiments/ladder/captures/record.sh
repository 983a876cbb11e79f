#!/bin/sh
# Records the captures of this folder again, by programs of other authors (as root, in a network namespace of its own):
#     unshare --net --mount --pid --fork --mount-proc sh record.sh FOLDER
# Needs tcpdump, tshark, wireshark-common, nginx, curl, nghttp2-client and -server, bind9, dnsutils, postfix, swaks,
# vsftpd, lftp, dovecot-imapd, dovecot-pop3d, fetchmail, nftables and ethtool.
set -eu
out=$(realpath "$1")
work=$(mktemp -d)
chmod 755 "$work"
cd "$work"
ip link set lo up mtu 1500
ethtool -K lo tso off gso off gro off >/dev/null 2>&1 || true

record() { # FILE FILTER COMMAND...: capture what a command causes on the loopback interface
    file=$1 filter=$2
    shift 2
    rm -f tcpdump.log
    tcpdump --immediate-mode -Z root -i "${INTERFACE:-lo}" -s "${SNAP:-0}" ${OPTIONS:-} -U -w "$out/$file" "$filter" 2>tcpdump.log &
    dump=$!
    until grep -qs listening tcpdump.log; do sleep 0.1; done
    sleep 0.3
    "$@" >command.log 2>&1 || { echo "$file: $* ended with status $?" >&2; cat command.log >&2; }
    sleep 0.5
    kill -INT "$dump"
    wait "$dump" || true
}

# HTTP: nginx, curl; HTTP/2: nghttpd, nghttp, curl.
mkdir site && cd site
printf '<html><img src="a.png"><img src="b.png"></html>\n' >index.html
head -c 3000 /dev/zero | tr '\0' a >a.png
head -c 5000 /dev/zero | tr '\0' b >b.png
seq 1 900 >list.txt
cd ..
cat >nginx.conf <<NGINX
pid $work/nginx.pid; error_log $work/error.log; events {}
http { access_log off; gzip on; gzip_types text/plain;
  server { listen 80; listen [::1]:80; root $work/site; location /moved { return 301 /index.html; }
           location /form { return 204; } } }
NGINX
chmod -R a+rX site
nginx -c "$work/nginx.conf"
nghttpd --no-tls -a 127.0.0.1 -d site -p /index.html=/a.png 8080 >nghttpd.log 2>&1 &
cat >apache.conf <<APACHE
ServerRoot $work
PidFile $work/apache.pid
ErrorLog $work/apache.log
ServerName localhost
Listen 127.0.0.2:8080
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
Protocols h2c http/1.1
User nobody
Group nogroup
DocumentRoot $work/site
APACHE
apache2 -f "$work/apache.conf"
sleep 0.5
record http1-curl-nginx.pcap 'tcp port 80' curl -sS http://127.0.0.1/ http://127.0.0.1/a.png -o /dev/null -o /dev/null \
    --next -I http://127.0.0.1/b.png --next -r 10-99 http://127.0.0.1/b.png --next http://127.0.0.1/gone \
    --next -L http://127.0.0.1/moved --next -d name=value http://127.0.0.1/form
record http1-chunked-gzip.pcap 'tcp port 80' curl -sS --compressed http://127.0.0.1/list.txt -o /dev/null
record http1-1.0-no-keepalive.pcap 'tcp port 80' sh -c 'for one in a.png b.png; do curl -sS -0 http://127.0.0.1/$one -o /dev/null; done'
record http2-nghttp-push.pcap 'tcp port 8080' nghttp -na http://127.0.0.1:8080/index.html
record http2-curl-prior-knowledge.pcap 'tcp port 8080' sh -c 'for one in a.png none; do curl -sS --http2-prior-knowledge http://127.0.0.2:8080/$one -o /dev/null; done'
record http2-curl-upgrade.pcap 'tcp port 8080' curl -sS --http2 http://127.0.0.2:8080/a.png http://127.0.0.2:8080/b.png -o /dev/null -o /dev/null

# DNS: named, dig.
cat >named.conf <<NAMED
options { directory "$work"; pid-file "$work/named.pid"; session-keyfile "$work/session.key"; recursion no;
          listen-on port 53 { 127.0.0.1; }; listen-on-v6 port 53 { ::1; }; dnssec-validation no; };
controls { };
zone "example.com" { type primary; file "$work/zone"; };
NAMED
{
    printf '$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns\n@ MX 10 mail\nns A 127.0.0.1\nmail A 192.0.2.5\n'
    printf 'www CNAME web\nweb A 192.0.2.1\nweb AAAA 2001:db8::1\n'
    for number in 1 2 3 4 5 6 7 8 9 10; do printf 'big TXT "%s %0200d"\n' "$number" 0; done
} >zone
chmod 777 .
named -c "$work/named.conf" -u root -4 -g >named.log 2>&1 &
sleep 1
record dns-dig-bind.pcap 'port 53' sh -c 'for one in "www A" "web AAAA" "example.com MX" "example.com NS" "nobody A" "www.example.org A"; do
    set -- $one; case $1 in *.*) name=$1;; *) name=$1.example.com;; esac; dig @127.0.0.1 +tries=1 $name $2; done'
record dns-truncated-tcp.pcap 'port 53' dig @127.0.0.1 +noedns big.example.com TXT
record dns-tcp-two-queries.pcap 'port 53' dig @127.0.0.1 +tcp +keepopen web.example.com A example.com SOA
record dns-transfer.pcap 'port 53' dig @127.0.0.1 example.com AXFR

# SMTP: postfix, swaks.
mkdir -p postfix/queue postfix/data postfix/etc
cp /etc/postfix/master.cf.proto postfix/etc/master.cf 2>/dev/null || cp /usr/share/postfix/master.cf.dist postfix/etc/master.cf
sed -i 's/^\([a-z][^ ]* *[a-z]* *[-yn] *[-yn] *\)y /\1n /' postfix/etc/master.cf
cp -r /etc/postfix/postfix-files* postfix/etc/ 2>/dev/null || true
cat >postfix/etc/main.cf <<POSTFIX
compatibility_level = 3.6
queue_directory = $work/postfix/queue
data_directory = $work/postfix/data
myhostname = mail.example.com
mydestination = example.com
local_transport = discard
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_tls_security_level = none
maillog_file =
POSTFIX
chown postfix postfix/data
postfix -c "$work/postfix/etc" start >postfix.log 2>&1 || cat postfix.log >&2
sleep 2
record smtp-swaks-postfix.pcap 'tcp port 25' swaks -s 127.0.0.1 -f alice@example.net -t bob@example.com,carol@example.com --h-Subject hello --ehlo client.example.net
record smtp-swaks-pipelining.pcap 'tcp port 25' swaks -s 127.0.0.1 --pipeline -f alice@example.net -t bob@example.com,nobody@example.org --ehlo client.example.net
record smtp-curl-long-message.pcap 'tcp port 25' sh -c 'seq 1 1500 | sed "s/^/.line /" | curl -sS --crlf smtp://127.0.0.1 --mail-from alice@example.net --mail-rcpt bob@example.com -T -'

# FTP: vsftpd, lftp, curl.
mkdir ftp empty && chmod 755 ftp && seq 1 400 >ftp/list.txt && mkdir ftp/incoming && chmod 777 ftp/incoming
cat >vsftpd.conf <<VSFTPD
listen=YES
anonymous_enable=YES
anon_root=$work/ftp
write_enable=YES
anon_upload_enable=YES
secure_chroot_dir=$work/empty
connect_from_port_20=YES
seccomp_sandbox=NO
isolate_network=NO
VSFTPD
vsftpd "$work/vsftpd.conf" &
sleep 0.5
record ftp-curl-vsftpd-passive.pcap 'tcp and not port 80' curl -sS ftp://127.0.0.1/list.txt -o /dev/null
record ftp-curl-vsftpd-active.pcap 'tcp and not port 80' curl -sS -P - ftp://127.0.0.1/ -T zone -Q 'CWD incoming' --ftp-method nocwd
record ftp-lftp-session.pcap 'tcp and not port 80' sh -c 'lftp -c "set net:max-retries 1; open 127.0.0.1; ls; cat list.txt; get gone -o gone; bye" || true'

# POP3 and IMAP: dovecot, curl, fetchmail.
mkdir -p mail/new mail/cur mail/tmp
for number in 1 2 3; do
    printf 'From: alice@example.net\r\nTo: bob@example.com\r\nSubject: message %s\r\n\r\nLine of text.\r\n.\r\nEnd.\r\n' "$number" >"mail/new/170000000$number.M1P1.host"
done
chown -R nobody mail
cat >dovecot.conf <<DOVECOT
base_dir = $work/dovecot
state_dir = $work/dovecot
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
log_path = $work/dovecot.log
mail_location = maildir:$work/mail
first_valid_uid = 1
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$work
}
default_internal_user = dovecot
default_login_user = dovenull
service anvil {
  chroot =
}
service imap-login {
  chroot =
}
service pop3-login {
  chroot =
}
DOVECOT
dovecot -c "$work/dovecot.conf"
sleep 1
record pop3-curl-dovecot.pcap 'tcp port 110' curl -sS -u bob:secret pop3://127.0.0.1/1
record pop3-fetchmail.pcap 'tcp port 110' sh -c 'printf "poll 127.0.0.1 protocol pop3 user bob password secret sslproto \"\" keep mda /bin/true\n" >fm; chmod 600 fm; fetchmail -f fm --nodetach --nosyslog || true'
record imap-curl-dovecot.pcap 'tcp port 143' curl -sS -u bob:secret 'imap://127.0.0.1/INBOX;MAILINDEX=2' --next -u bob:secret imap://127.0.0.1/INBOX -X 'SEARCH ALL' --next -u bob:secret imap://127.0.0.1/ -X 'STATUS INBOX (MESSAGES UIDNEXT)'
record imap-fetchmail.pcap 'tcp port 143' sh -c 'printf "poll 127.0.0.1 protocol imap user bob password secret sslproto \"\" keep fetchall mda /bin/true\n" >fm; chmod 600 fm; fetchmail -f fm --nodetach --nosyslog || true'

# IPv6, snap length, cooked link header, nanoseconds, several interfaces.
record ipv6-http.pcap 'tcp port 80' curl -sS 'http://[::1]/' 'http://[::1]/a.png' -o /dev/null -o /dev/null
SNAP=96 record snaplen-96-http.pcap 'tcp port 80' curl -sS http://127.0.0.1/ http://127.0.0.1/b.png -o /dev/null -o /dev/null
INTERFACE=any record cooked-dns-http.pcap 'port 53 or port 80' sh -c 'dig @127.0.0.1 web.example.com; curl -sS http://127.0.0.1/a.png -o /dev/null'
OPTIONS=--time-stamp-precision=nano record nanoseconds-dns.pcap 'port 53' dig @127.0.0.1 example.com MX

# Retransmissions: the third and seventh of each ten segments with data are lost behind the tap of the capture.
nft add table ip t
nft add chain ip t c '{ type filter hook input priority 0; }'
nft add rule ip t c tcp sport 80 ip length '>' 500 numgen inc mod 5 == 2 drop
record retransmissions-http.pcap 'tcp port 80' curl -sS http://127.0.0.1/b.png http://127.0.0.1/a.png -o /dev/null -o /dev/null
nft flush chain ip t c
nft add rule ip t c udp dport 53 numgen inc mod 2 == 0 drop
record repeated-query-dns.pcap 'port 53' dig @127.0.0.1 +time=1 +tries=3 web.example.com A
nft delete table ip t

# Made of these by Wireshark's tools: out of order, VLAN, a file that ends early, pcapng of two interfaces, mid-stream.
cd "$out"
frame=$(tshark -r http1-1.0-no-keepalive.pcap -Y 'tcp.len > 1000' -T fields -e frame.number 2>/dev/null | sed -n 2p)
editcap -r http1-1.0-no-keepalive.pcap "$work/one.pcap" "$frame"
editcap http1-1.0-no-keepalive.pcap "$work/rest.pcap" "$frame"
next=$(tshark -r http1-1.0-no-keepalive.pcap -Y "tcp.len > 0 && frame.number > $frame" -T fields -e frame.time_relative 2>/dev/null | sed -n 1p)
this=$(tshark -r http1-1.0-no-keepalive.pcap -Y "frame.number == $frame" -T fields -e frame.time_relative 2>/dev/null)
editcap -t "$(awk "BEGIN { printf \"%.6f\", $next - $this + 0.000002 }")" "$work/one.pcap" "$work/late.pcap"
mergecap -F pcap -w out-of-order-http.pcap "$work/rest.pcap" "$work/late.pcap"
tshark -r dns-dig-bind.pcap -x 2>/dev/null |
    awk '/^[0-9a-f]+  / { line = substr($0, 7, 48); hex = hex " " line; next }
         hex != "" { $0 = hex; printf "000000"; for (i = 1; i <= NF; i++) printf " %s%s", (i == 13 ? "81 00 00 07 " : ""), $i
                     print ""; hex = "" }' >"$work/tagged.txt"
text2pcap -F pcap "$work/tagged.txt" vlan-dns.pcap 2>/dev/null
head -c "$(($(stat -c %s smtp-swaks-postfix.pcap) - 30))" smtp-swaks-postfix.pcap >file-ends-early-smtp.pcap
mergecap -F pcapng -w two-interfaces-mail.pcapng pop3-curl-dovecot.pcap imap-curl-dovecot.pcap
editcap -r http1-curl-nginx.pcap mid-stream-http.pcap 4-9999
nginx -c "$work/nginx.conf" -s quit
postfix -c "$work/postfix/etc" stop >/dev/null 2>&1 || true
