"""A world with a service that is released natively: two target groups behind one rule, hooks, alarms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ecs_world import CLUSTER, OPERATOR, World

from twin.ecs.deployment import Deployment
from twin.kernel.api import Api, Call, operation

ROLE = "arn:aws:iam::123456789012:role/ecs-load-balancers"
HOOK_ROLE = "arn:aws:iam::123456789012:role/ecs-hooks"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:gate"
SUCCEEDED = {"hookStatus": "SUCCEEDED"}
Answer = Callable[[dict[str, Any]], Any]


class Lambda(Api):
    """Functions whose answers a test writes; remembers what they were asked, and when."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.service = "lambda"
        self.world = world
        self.answer: Answer = lambda payload: SUCCEEDED
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self.calls: list[Call] = []

    @operation("Invoke", ["FunctionName", "Payload", "InvocationType"])
    def invoke(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        payload = json.loads(params["Payload"])
        self.asked.append((self.world.kernel.clock.elapsed, payload))
        self.calls.append(call)
        answer = self.answer(payload)
        if isinstance(answer, Exception):
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b'{"errorType": "ValueError"}'}
        return {"StatusCode": 200, "Payload": json.dumps(answer).encode()}

    def stages(self) -> list[str]:
        return [payload["lifecycleStage"] for _, payload in self.asked]


class CloudWatch(Api):
    """Alarms whose states a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.service = "cloudwatch"
        self.states: dict[str, str] = {}

    @operation("DescribeAlarms", ["AlarmNames"])
    def describe_alarms(self, params: dict[str, Any], call: Call) -> dict[str, Any]:
        found = [{"AlarmName": name, "StateValue": self.states.get(name, "OK")} for name in params["AlarmNames"]]
        return {"MetricAlarms": found}


class Release(World):
    """`web` with two tasks, blue in target group `web-a`; rules on the production and on a test listener."""

    def __init__(
        self,
        test_rule: bool = False,
        default_rule: bool = False,
        hosts: int = 4,
        functions: bool = True,
        https: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(hosts=hosts, **options)
        self.built = 0
        certificate = [{"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}]
        self.protocol = {"Protocol": "HTTPS", "Certificates": certificate} if https else {"Protocol": "HTTP"}
        self.lambdas = Lambda(self)
        self.alarms = CloudWatch()
        if functions:
            self.gateway.register(self.lambdas)
        self.gateway.register(self.alarms)
        self._role()
        self.groups = [self._group(name) for name in ("web-a", "web-b")]
        balancer = self.call("CreateLoadBalancer", "elbv2", Name="web", Subnets=["subnet-a", "subnet-b"])
        arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        self.production = self._rule(arn, 80, default_rule)
        self.test = self._rule(arn, 8080, default_rule) if test_rule else None
        self.advanced = {
            "alternateTargetGroupArn": self.groups[1],
            "productionListenerRule": self.production,
            "roleArn": ROLE,
        }
        if self.test:
            self.advanced["testListenerRule"] = self.test

    def _role(self) -> None:
        statement = {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = self.gateway.iam.add_role(HOOK_ROLE, "ecs-hooks", {"Statement": [statement]})
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": FUNCTION}
        self.gateway.iam.add_policy(role, {"Statement": [allowed]}, "test")

    def _group(self, name: str) -> str:
        settings = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-0123456789abcdef0", "HealthCheckIntervalSeconds": 10}
        answer = self.call("CreateTargetGroup", "elbv2", Name=name, HealthyThresholdCount=2, **settings)
        arn = str(answer["TargetGroups"][0]["TargetGroupArn"])
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
        self.call("ModifyTargetGroupAttributes", "elbv2", TargetGroupArn=arn, Attributes=[delay])
        return arn

    def _rule(self, balancer: str, port: int, default: bool) -> str:
        both = [{"TargetGroupArn": self.groups[0], "Weight": 1}, {"TargetGroupArn": self.groups[1], "Weight": 0}]
        sticky = {"Enabled": True, "DurationSeconds": 60}
        forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": both, "TargetGroupStickinessConfig": sticky}}
        listener = self.call(
            "CreateListener", "elbv2", LoadBalancerArn=balancer, Port=port, DefaultActions=[forward], **self.protocol
        )["Listeners"][0]["ListenerArn"]
        if default:
            return str(self.call("DescribeRules", "elbv2", ListenerArn=listener)["Rules"][0]["RuleArn"])
        where = {"Field": "path-pattern", "Values": ["/*"]}
        rule = self.call(
            "CreateRule", "elbv2", ListenerArn=listener, Priority=10, Conditions=[where], Actions=[forward]
        )
        return str(rule["Rules"][0]["RuleArn"])

    # --- doing -------------------------------------------------------------------------------------------------------
    def up(self, strategy: str = "CANARY", desired: int = 2, **configuration: Any) -> Release:
        """Create the service, let it come up, and start the clock."""
        times = {"CANARY": "canaryBakeTimeInMinutes", "LINEAR": "stepBakeTimeInMinutes"}
        if strategy in times:
            name = f"{strategy.lower()}Configuration"
            configuration[name] = {times[strategy]: 10, **configuration.get(name, {})}
        configuration.setdefault("bakeTimeInMinutes", 5)
        self.configuration = {"strategy": strategy, **configuration}
        balancer = {
            "targetGroupArn": self.groups[0],
            "containerName": "app",
            "containerPort": 80,
            "advancedConfiguration": self.advanced,
        }
        self.serve(desired=desired, loadBalancers=[balancer], deploymentConfiguration=self.configuration)
        self.settle()
        self.built = len(self.kernel.calls)
        return self

    def release(self, family: str = "web", **params: Any) -> Deployment:
        """Start a release of a new task definition."""
        if family == "web":
            self.define("web", cpu=64)
        self.update(taskDefinition=family, **params)
        return self.latest

    def hook(self, *stages: str, **more: Any) -> dict[str, Any]:
        return {"hookTargetArn": FUNCTION, "roleArn": HOOK_ROLE, "lifecycleStages": list(stages), **more}

    def stop(self, deployment: Deployment) -> None:
        arn = deployment.arn
        self.call("StopServiceDeployment", caller=OPERATOR, serviceDeploymentArn=arn, stopType="ROLLBACK")

    def until(self, holds: Callable[[], bool], limit: float = 7200.0) -> float:
        """Run until something holds; the elapsed seconds then."""
        end = self.kernel.clock.elapsed + limit
        while not holds():
            assert self.kernel.clock.elapsed < end, "it never came to hold"
            self.run(1)
        return self.kernel.clock.elapsed

    def until_stage(self, stage: str) -> float:
        return self.until(lambda: self.described().get("lifecycleStage") == stage)

    # --- looking -----------------------------------------------------------------------------------------------------
    @property
    def latest(self) -> Deployment:
        return self.service().history[-1]

    def described(self, deployment: Deployment | None = None) -> dict[str, Any]:
        arn = (deployment or self.latest).arn
        found: dict[str, Any] = self.call("DescribeServiceDeployments", serviceDeploymentArns=[arn])
        return found["serviceDeployments"][0]

    def weights(self, rule: str | None = None) -> list[int]:
        """Weights of the target groups a and b in a rule."""
        found = self.call("DescribeRules", "elbv2", RuleArns=[rule or self.production])["Rules"][0]["Actions"]
        config = next(action for action in found if action["Type"] == "forward")["ForwardConfig"]
        by_group = {item["TargetGroupArn"]: item["Weight"] for item in config["TargetGroups"]}
        return [by_group[group] for group in self.groups]

    def shifts(self) -> list[tuple[float, list[int]]]:
        """Every change of the production rule since the start of the clock: (elapsed, weights of a and b)."""
        found = []
        for call in self.kernel.calls[self.built :]:
            if call.operation not in ("ModifyRule", "ModifyListener") or call.caller.kind != "aws":
                continue
            actions = call.params.get("Actions") or call.params["DefaultActions"]
            if self.production not in (call.params.get("RuleArn"), None) and "RuleArn" in call.params:
                continue
            config = next(action for action in actions if action["Type"] == "forward")["ForwardConfig"]
            by_group = {item["TargetGroupArn"]: item["Weight"] for item in config["TargetGroups"]}
            seconds = (call.at - self.kernel.clock.start).total_seconds()
            found.append((seconds, [by_group[group] for group in self.groups]))
        return found

    def told(self) -> list[tuple[str, str]]:
        """(eventName, reason) of the service's deployment events."""
        return [(one["eventName"], one["reason"]) for one in self.bus.of("ECS Deployment State Change")]

    def groups_of_tasks(self) -> dict[str, list[str]]:
        """Task definition ARN -> the target groups in which its running tasks are."""
        found: dict[str, set[str]] = {}
        for task in self.wanted():
            found.setdefault(task.definition.arn, set()).update(target.group_arn for target in task.targets)
        return {arn: sorted(groups) for arn, groups in found.items()}


__all__ = ["CLUSTER", "FUNCTION", "HOOK_ROLE", "OPERATOR", "ROLE", "SUCCEEDED", "Release"]
