package fault

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// busy is a process that uses all CPU time that it gets.
func busy(t *testing.T) int {
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// used is the CPU time of a process, in clock ticks of 10 ms, and its state.
func used(t *testing.T, pid int) (ticks int, state string) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	require.NoError(t, err)
	return user, fields[0]
}

// enough is some CPU time, in clock ticks of 10 ms.
const enough = 10

// takes is how long a process needs for that time, which it must get.
func takes(t *testing.T, pid int) time.Duration {
	began := time.Now()
	from, _ := used(t, pid)
	require.Eventually(t, func() bool { now, _ := used(t, pid); return now-from >= enough }, time.Minute, time.Millisecond)
	return time.Since(began)
}

func TestThrottle(t *testing.T) {
	const cpus = 0.05
	for name, throttle := range map[string]func(pid int) (func() error, error){
		"as this machine can": func(pid int) (func() error, error) {
			undo, how, err := Throttle([][]int{{pid}}, cpus)
			t.Log(how)
			return undo, err
		},
		"stopped and continued": func(pid int) (func() error, error) { return dutyCycle([]int{pid}, cpus), nil },
	} {
		t.Run(name, func(t *testing.T) {
			pid := busy(t)
			before, err := groupOf(pid)
			require.NoError(t, err)
			undo, err := throttle(pid)
			require.NoError(t, err)
			held := takes(t, pid)
			require.NoError(t, undo())
			// Other processes of this machine may hold it back as well, but not speed it up.
			require.Greater(t, held.Seconds(), 0.7*enough/100/cpus)
			_, state := used(t, pid)
			require.NotEqual(t, "T", state, "it runs")
			require.Eventually(t, func() bool { return takes(t, pid) < held/2 }, time.Minute, time.Millisecond, "it is free")
			after, err := groupOf(pid)
			require.NoError(t, err)
			require.Equal(t, before, after)
			left, err := filepath.Glob(filepath.Join(before.dir, "etlbench-fault-"+strconv.Itoa(pid)))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestThrottleOfWhatHasGone(t *testing.T) {
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	undo, _, err := Throttle([][]int{{cmd.Process.Pid}}, 0.5)
	require.NoError(t, err)
	require.NoError(t, undo())
	_, _, err = Throttle([][]int{{cmd.Process.Pid}}, 2)
	require.ErrorContains(t, err, "no cgroup can be made to hold processes to 2 CPUs")
}

func TestKill(t *testing.T) {
	cmd := exec.Command("sleep", "3600")
	require.NoError(t, cmd.Start())
	require.NoError(t, Kill([]int{cmd.Process.Pid}))
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.NoError(t, Kill([]int{cmd.Process.Pid}), "it has gone already")
}
