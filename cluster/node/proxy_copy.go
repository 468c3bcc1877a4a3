package node

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/etlbench/etlbench/cluster/api"
	"github.com/etlbench/etlbench/cluster/meta"
)

// Of the question for copies of the metadata.
const (
	copyTime = 2 * time.Second // for all targets to answer
	copyAsks = 3               // as long as one of them may be there and does not
)

// newestCopy is the newest state that targets have of this cluster, nil when
// there is none: it is a new cluster.
func (p *Proxy) newestCopy(ctx context.Context) (newest *meta.State) {
	for range copyAsks {
		one, cancel := context.WithTimeout(ctx, copyTime)
		list, err := p.askCopies(one)
		cancel()
		for _, s := range list {
			if s.Version > 0 && (newest == nil || s.Version > newest.Version) {
				newest = s
			}
		}
		if err == nil || ctx.Err() != nil {
			break
		}
		p.log.Warn("ask targets for the metadata", keyErr, err)
	}
	if newest != nil {
		p.log.Info("goes on with the metadata that targets have", "version", newest.Version, "cluster", newest.Map.UUID)
	}
	return newest
}

// askCopies asks all targets at once. The error is of those that may be there
// and have not answered; what listens nowhere, or refuses to tell, has nothing.
func (p *Proxy) askCopies(ctx context.Context) (list []*meta.State, err error) {
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	bases, err := p.copyURLs(ctx)
	for _, base := range bases {
		wg.Go(func() {
			var s meta.State
			e := p.peers.call(ctx, base, pathCopy, struct{}{}, &s)
			var refused *api.Error
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e == nil:
				list = append(list, &s)
			case !errors.As(e, &refused) && !errors.Is(e, syscall.ECONNREFUSED):
				err = errors.Join(err, e)
			}
		})
	}
	wg.Wait()
	return list, err
}

// copyURLs are where targets listen: at all addresses of a host. One that DNS
// does not know has none yet.
func (p *Proxy) copyURLs(ctx context.Context) (bases []string, err error) {
	for text := range strings.SplitSeq(p.copies, ",") {
		if text == "" {
			continue
		}
		u, e := url.Parse(text)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		addresses, e := net.DefaultResolver.LookupHost(ctx, u.Hostname())
		var dns *net.DNSError
		if e != nil && !(errors.As(e, &dns) && dns.IsNotFound) {
			err = errors.Join(err, e)
		}
		for _, a := range addresses {
			bases = append(bases, u.Scheme+"://"+net.JoinHostPort(a, u.Port()))
		}
	}
	return bases, err
}
