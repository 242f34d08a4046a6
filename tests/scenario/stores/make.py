# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an archive of a store with a server of another version: make.py BINARY NAME DELEGATES (see README.md)."""
import json, os, pathlib, subprocess, sys, time, urllib.request, shutil
binary, name, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
top = pathlib.Path(".").resolve()/name; shutil.rmtree(top, ignore_errors=True); top.mkdir()
(top/"c.yaml").write_text(f"""zones:
  - name: auth.example.org
    nameservers:
      - {{name: ns1.auth.example.org, addresses: [127.0.0.1]}}
    contact: hostmaster@example.org
dns: {{listen: ["127.0.0.1:26353"], workers: 1}}
api: {{listen: ["127.0.0.1:29080"], url: "http://127.0.0.1:29080", tls: {{mode: "of"}}, registration: {{mode: open, per_address_per_hour: 0, per_day: 0}}}}
store: {{path: {top}/store}}

""" )
import hashlib, secrets, uuid
accounts=[]; lines=[]
for i in range(8):
    label=str(uuid.uuid4()); secret=secrets.token_urlsafe(30); key=str(uuid.uuid4()); values=[secrets.token_urlsafe(32) for _ in range(i%5)]
    accounts.append({"username":key,"password":secret,"subdomain":label,"fulldomain":label+".auth.example.org","values":values})
    lines.append({"zone":"auth.example.org","label":label,"created":1735689600000,"keys":[{"id":key,"created":1735689600000,"sha256":hashlib.sha256(secret.encode()).hexdigest()}],"values":[{"value":v,"expiry":253402300799999} for v in values]})
lines+=[{"zone":"auth.example.org","label":"d%d"%i,"created":1,"keys":[]} for i in range(many)]
(top/"lines").write_text("".join(json.dumps(l)+"\n" for l in lines))
print(subprocess.run([binary,"import","-c",str(top/"c.yaml"),str(top/"lines")],capture_output=True,text=True).stderr)
p=subprocess.Popen([binary,"serve","-c",str(top/"c.yaml")],stderr=open(top/"log","w"))
time.sleep(2)
def post(path, body=None, h={}):
    return urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:29080"+path, json.dumps(body).encode() if body else b"", h, method="POST")).read()
a=json.loads(post("/register")); a["values"]=[]; accounts.append(a)
p.terminate(); p.wait()
(top/"accounts.json").write_text(json.dumps(accounts))
for f in ("c.yaml","lines","log"): (top/f).unlink(missing_ok=True)
for f in ("lock.mdb","serve.lock"): (top/"store"/f).unlink(missing_ok=True)
subprocess.run(["tar","--owner=0","--group=0","-cJf",f"{name}.tar.xz",name],cwd=".",env=dict(os.environ,XZ_OPT="-9e"))
print(os.path.getsize(f"{name}.tar.xz"))
