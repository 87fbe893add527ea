"""What Flower shows and allows: it reads this file as its configuration (``--conf``).

It looks on. Whoever wants to stop or change something does so on our own pages, by services that leave a trail;
revoking a message here would only make its lease expire and its items travel once more.
"""

from flower.views.monitor import Healthcheck, Metrics
from tornado.options import options
from tornado.web import authenticated

if not (options.basic_auth or options.auth):
    raise SystemExit("Flower wants a login: set FLOWER_BASIC_AUTH to user:password.")

read_only = True
max_tasks = 10_000
# A lease's number is all that a message carries; it says more than the message's own id.
tasks_columns = "name,args,state,received,runtime,worker"
natural_time = False
# Workers that are gone disappear, or every deploy would leave its rows.
purge_offline_workers = 600

# The only pages of Flower that ask for no login.
for _page in (Healthcheck, Metrics):
    _page.get = authenticated(_page.get)
