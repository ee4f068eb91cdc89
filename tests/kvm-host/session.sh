# Second half of init: the machine's files are the root now. Runs the command and reports.
#
# Ports of the outer QEMU (outer.py): 1 control, 2 stdin, 3 stdout, 4 stderr; or hvc0 for a terminal.
# A port can be opened only once and never shows its end, so the command gets pipes, and each stream
# ends with a word ($end) that nothing else contains. Nothing here powers the host off: what has been
# written last might still be on its way.
# shellcheck shell=sh disable=SC2154
b=/run/kvm-host/busybox
dir=/run/kvm-host
# Sets end, kvm_gid, tty, rows, columns.
# shellcheck source=/dev/null
. $dir/settings

$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts /dev/pts
$b mount -t tmpfs -o mode=1777 shm /dev/shm
$b mount -t cgroup2 cgroup /sys/fs/cgroup
for controller in $($b cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
$b ln -s /proc/self/fd /dev/fd
$b ln -s fd/0 /dev/stdin
$b ln -s fd/1 /dev/stdout
$b ln -s fd/2 /dev/stderr
$b ip link set lo up
$b hostname kvm-host

$b grep -q '^kvm:' /etc/group || echo "kvm:x:$kvm_gid:" >>/etc/group
if [ -e /dev/kvm ]; then
  $b chgrp "$kvm_gid" /dev/kvm
  $b chmod 660 /dev/kvm
fi

port() {
  # shellcheck disable=SC2231 # one match
  for node in /dev/vport*p$1; do echo "$node"; done
}

# kill_others PID...: ends everything but this shell, the kernel's threads, and those with their children.
kill_others() {
  keep=" $* "
  found=1
  while [ "$found" = 1 ]; do
    found=0
    for stat in /proc/[0-9]*/stat; do
      { read -r line <"$stat"; } 2>/dev/null || continue
      pid=${line%% *}
      # Behind the name, which may contain anything: state, parent.
      # shellcheck disable=SC2086 # words are meant to split
      set -- ${line##*) }
      case "$keep 1 " in *" $pid "*) continue ;; esac
      case "$keep 2 0 " in *" $2 "*) continue ;; esac
      [ "$1" != Z ] || continue
      kill -9 "$pid" && found=1
    done
  done
}

exec 3>"$(port 1)"
# Signs of life: outer.py gives up on a host that has stopped.
while :; do
  $b sleep 5
  echo alive >&3
done &
alive=$!
if [ "$tty" = 1 ]; then
  # Stays open: closing a terminal throws away what has been typed ahead.
  exec 4<>/dev/hvc0
  $b stty rows "$rows" cols "$columns" <&4
  echo ready >&3
  # The terminal hangs up when the leader of its session ends, so the mark comes before that.
  # shellcheck disable=SC2016 # for the inner shell
  $b setsid -c $b sh -c 'trap : INT QUIT; /bin/sh "$0"; status=$?; printf %s "$1"; exit $status' \
    $dir/command "$end" <&4 >&4 2>&4 3>&- 4>&-
  status=$?
else
  $b mkfifo $dir/in $dir/out $dir/err
  echo ready >&3
  # A first line says that the port is connected; until then a read gives the end of the file.
  {
    until read -r _; do $b usleep 10000; done
    exec $b cat
  } <"$(port 2)" >$dir/in &
  { $b cat; printf %s "$end"; } <$dir/out >"$(port 3)" &
  out=$!
  { $b cat; printf %s "$end"; } <$dir/err >"$(port 4)" &
  err=$!
  # In the foreground: a shell starts background commands with SIGINT ignored. In a shell of its own: the signal of
  # a child that ends (cat, at the end of the input) would interrupt this one while it opens a pipe.
  (exec $b setsid /bin/sh $dir/command) <$dir/in >$dir/out 2>$dir/err 3>&-
  status=$?
  # What the command left running must not keep its output open.
  kill_others "$out" "$err" "$alive"
  wait $out $err
fi
echo "exit $status" >&3
while :; do $b sleep 1000; done
