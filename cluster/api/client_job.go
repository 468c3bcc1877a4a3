package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// bucketJob starts a job by a POST to a bucket and returns its id.
func (c *Client) bucketJob(ctx context.Context, action string, from Bucket, to *Bucket, msg any) (id string, err error) {
	q := provider(from)
	if to != nil {
		q.Set(QparamBckTo, to.Uname(""))
	}
	return id, c.call(ctx, request{method: http.MethodPost, path: bucketPath(from), query: q,
		body: ActMsg{Action: action, Value: msg}}, &id)
}

// TransformBucket starts a job that transforms a bucket into another one by the
// ETL msg.ID, and returns its id.
func (c *Client) TransformBucket(ctx context.Context, from, to Bucket, msg TransformMsg) (string, error) {
	return c.bucketJob(ctx, ActETLBucket, from, &to, msg)
}

// CopyBucket starts a job that copies a bucket, and returns its id.
func (c *Client) CopyBucket(ctx context.Context, from, to Bucket, msg TransformMsg) (string, error) {
	msg.ID = ""
	return c.bucketJob(ctx, ActCopyBucket, from, &to, msg)
}

// TransformObjects starts a job that transforms the objects that msg.Objects or
// msg.Template names, and returns its id. Without either it takes all.
func (c *Client) TransformObjects(ctx context.Context, from, to Bucket, msg TransformMsg) (string, error) {
	msg.To = &to
	return c.bucketJob(ctx, ActETLObjects, from, nil, msg)
}

// CopyObjects is TransformObjects without a transformation.
func (c *Client) CopyObjects(ctx context.Context, from, to Bucket, msg TransformMsg) (string, error) {
	msg.To, msg.ID = &to, ""
	return c.bucketJob(ctx, ActCopyObjects, from, nil, msg)
}

// DeleteObjects starts a job that deletes the objects that are named, or that a
// template stands for, and returns its id.
func (c *Client) DeleteObjects(ctx context.Context, b Bucket, names []string, template string) (id string, err error) {
	return id, c.call(ctx, request{method: http.MethodDelete, path: bucketPath(b), query: provider(b), body: ActMsg{
		Action: ActDeleteObjects, Value: map[string]any{"objnames": names, "template": template}}}, &id)
}

// DeriveObject copies an object to another place, through an ETL unless etl is
// "". query holds what the ETL is told: etl_args, etl_pipeline.
func (c *Client) DeriveObject(ctx context.Context, from Bucket, name string, to Bucket, toName, etl string, query url.Values) error {
	q := provider(from)
	for k, v := range query {
		q[k] = v
	}
	q.Set(QparamObjTo, to.Uname(toName))
	if etl != "" {
		q.Set(QparamETLName, etl)
	}
	return c.call(ctx, request{method: http.MethodPut, path: ObjectPath(from, name), query: q}, nil)
}

// RenameObject gives an object another name in its bucket.
func (c *Client) RenameObject(ctx context.Context, b Bucket, name, newName string) error {
	return c.call(ctx, request{method: http.MethodPost, path: ObjectPath(b, name), query: provider(b),
		body: ActMsg{Action: ActRenameObject, Name: newName}}, nil)
}

// ETLErrors lists the objects that an ETL failed on: in inline requests, or,
// when job is not "", in that job. Targets remember the last ones only.
func (c *Client) ETLErrors(ctx context.Context, name, job string) ([]ObjError, error) {
	d := &ETLDetails{}
	err := c.call(ctx, request{method: http.MethodGet, path: etlPath(name), query: url.Values{QparamUUID: {job}}}, d)
	return d.Errors, err
}

func (c *Client) queryJobs(ctx context.Context, what string, q JobQuery, out any) error {
	return c.call(ctx, request{method: http.MethodGet, path: PathCluster, query: url.Values{QparamWhat: {what}}, body: q}, out)
}

// Jobs asks how the jobs of a query stand: of all of them, or of those that
// have not ended.
func (c *Client) Jobs(ctx context.Context, q JobQuery) ([]JobStatus, error) {
	var list []JobStatus
	return list, c.queryJobs(ctx, "status_all", q, &list)
}

// RunningJobs lists the jobs that have not ended, as "kind[id]".
func (c *Client) RunningJobs(ctx context.Context) ([]string, error) {
	var list []string
	return list, c.queryJobs(ctx, "running_all", JobQuery{}, &list)
}

// JobStatus asks how a job stands.
func (c *Client) JobStatus(ctx context.Context, id string) (*JobStatus, error) {
	s := &JobStatus{}
	return s, c.queryJobs(ctx, "status", JobQuery{ID: id}, s)
}

// JobSnaps asks what each target tells of a job, by target ID.
func (c *Client) JobSnaps(ctx context.Context, id string) (map[string][]Snap, error) {
	return c.Snaps(ctx, JobQuery{ID: id})
}

// StopJob aborts a job.
func (c *Client) StopJob(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodPut, path: PathCluster,
		body: ActMsg{Action: ActStop, Value: JobQuery{ID: id}}}, nil)
}

// WaitJob polls until a job has ended, or ctx. A job that was aborted is an
// error with its reason.
func (c *Client) WaitJob(ctx context.Context, id string) error {
	const first, most = 20 * time.Millisecond, time.Second
	for wait := first; ; wait = min(wait*3/2, most) {
		s, err := c.JobStatus(ctx, id)
		if err != nil {
			return err
		}
		if s.Aborted || s.Done() && s.Err != "" {
			return fmt.Errorf("job %s: %s", id, s.Err)
		}
		if s.Done() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("job %s: %w", id, ctx.Err())
		case <-time.After(wait):
		}
	}
}
