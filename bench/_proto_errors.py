import numpy as np
from mlops_dagster.statistics import rate_e_value, excess_failure_e_value, FailuresSince, Stage
def weight(m): return 0.25/10080*0.5**((m-1)//10080)
def run(rate_s, p, onset_h, base, rng, nmax=20000):
    # per-minute past of pairs
    M=int(onset_h*60)
    n=rng.poisson(rate_s*60,M); ch=rng.binomial(n,base*(1-base)); cp=rng.binomial(n,base*(1-base))
    cum=[np.append(0,np.cumsum(x)) for x in (n,ch,cp)]
    t=np.cumsum(rng.exponential(1/rate_s,nmax))
    f=rng.random(nmax)<p+base-p*base; g=rng.random(nmax)<base
    out={}
    cf,cg=np.cumsum(f&~g),np.cumsum(g&~f); ca=np.cumsum(f)
    capast=cum[1]
    for i in range(nmax):
        now=M+int(t[i]/60)
        if not f[i]: continue
        starts=sorted({now-b for b in (0,*(2**k for k in range(14))) if now>b})
        def counts(s):
            if s<=M:
                return [c[-1]-c[s] for c in cum]+[0]
            j=np.searchsorted(t,(s-M)*60); return [0,0,0,j]
        def tot(s):
            a,b,c,j=counts(s)
            return a+i+1-j, b+cf[i]-(cf[j-1] if j else 0), c+cg[i]-(cg[j-1] if j else 0)
        whole=tot(0); late=[(s,tot(s)) for s in starts]
        def mix(fn): return fn(whole)/2+sum(weight(s)*fn(c) for s,c in late)
        over=mix(lambda c: rate_e_value(int(c[1]),int(c[0]),limit=.01))
        old=over # approx (all failures)
        alone=excess_failure_e_value([FailuresSince(int(whole[1]+whole[2]-c[1]-c[2]),[Stage(.5,int(c[1]),int(c[1]+c[2]))]) for c in [whole]+[c for _,c in late]],requests=int(whole[0]),alone=int(whole[1]))
        # others' e values: 1 (accuracy, watch..)0
        if 'old' not in out and old>=100: out['old']=(i+1,t[i])
        if 'new' not in out and min(over,alone)>=100: out['new']=(i+1,t[i]); break
    return out
rng=np.random.default_rng(1)
for base in (0,.004):
  for onset in (0,40):
    for p in (.05,.5,1.):
      for r in (.2,2,20):
        R=[run(r,p,onset,base,rng) for _ in range(40)]
        m=lambda k,j: np.median([x[k][j] for x in R])
        print(base,onset,p,r,'old n %.0f t %.0fs new n %.0f t %.0fs ratio %.2f'%(m('old',0),m('old',1),m('new',0),m('new',1),m('new',1)/m('old',1)),flush=True)
