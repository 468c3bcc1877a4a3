package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etlbench/etlbench/loader/fleet"
)

// envToken is the variable that a token may come from: command lines are
// everybody's to see.
const envToken = "ETLBENCH_TOKEN"

const tokenUsage = "`SECRET` that agents and coordinator share (default: $" + envToken + ")"

func agentCmd(e *env) *cobra.Command {
	var listen, token string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "wait for a coordinator, and issue a share of its load",
		Long: "Waits for etlbench run --agents, issues its share of the scenario's operations, and gives back what it\n" +
			"recorded; one run at a time. It writes no files, and reads none that a coordinator names. A coordinator\n" +
			"that is silent for " + fleet.Lease.String() + " has lost it.\n\n" +
			"It runs load for whoever connects: anywhere but on loopback it needs a token. What is said between the\n" +
			"two is not encrypted.",
		Example: "  etlbench agent --listen 127.0.0.1:9000\n  ETLBENCH_TOKEN=… etlbench agent --listen 10.0.0.7:9000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return agent(cmd.Context(), e, listen, cmp.Or(token, e.get(envToken)))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&listen, "listen", "127.0.0.1:9000", "wait on `HOST:PORT`")
	fl.StringVar(&token, "token", "", tokenUsage)
	return cmd
}

func agent(ctx context.Context, e *env, listen, token string) error {
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return misuse("--listen %q: must be HOST:PORT, such as 127.0.0.1:9000", listen)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fail(portHint(err))
	}
	if err := fleet.Check(ln, token); err != nil {
		_ = ln.Close()
		return misuse("--listen %s: %w: --token, or $%s", listen, err, envToken)
	}
	a := fleet.NewAgent(fleet.AgentConfig{Version: version(), Token: token, Expect: expect, Log: slog.New(slog.NewTextHandler(e.err, nil))})
	fmt.Fprintf(e.err, "waiting for a coordinator on %s; Ctrl-C stops it\n", ln.Addr())
	return fail(a.Serve(ctx, ln))
}

// reach refuses agents elsewhere for a cluster that only this machine can reach.
func reach(c *fleet.Coordinator, urls []string) error {
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil || !loopback(parsed.Hostname()) {
			continue
		}
		away := slices.IndexFunc(c.Agents, func(name string) bool {
			host, _, _ := net.SplitHostPort(name)
			return !loopback(host)
		})
		if away >= 0 {
			return misuse("--agents: %s cannot reach the cluster at %s, which is on this machine's loopback: name one by --cluster", c.Agents[away], u)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
