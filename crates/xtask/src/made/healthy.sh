#!/bin/bash
# Is the service well? Whether the host is drained makes no difference.
exec 3<>/dev/tcp/127.0.0.1/8042 || exit 1
printf 'GET /well HTTP/1.0\r\n\r\n' >&3
head -1 <&3 | grep -q ' 200 '
