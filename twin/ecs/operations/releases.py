"""Service deployments and service revisions."""

from __future__ import annotations

from twin.ecs.deployment import Deployment, Revision
from twin.ecs.model import Service
from twin.ecs.native import describe, revisions
from twin.ecs.operations.common import Params, at_most, invalid, missing, page
from twin.ecs.operations.services import ServiceOperations
from twin.ecs.store import Index
from twin.errors import AwsError, Unmodelled
from twin.kernel.api import Call, operation

DESCRIBE_LIMIT = 20
LIST_SIZE = 20


class ReleaseOperations(ServiceOperations):
    # --- reading -----------------------------------------------------------------------------------------------------
    @operation("ListServiceDeployments", ["service", "cluster", "status", "createdAt", "nextToken", "maxResults"])
    def list_service_deployments(self, params: Params, call: Call) -> Params:
        cluster = self.engine.store.cluster(params.get("cluster"))
        service = self._service(cluster, params["service"])
        if service.controller != "ECS":
            raise AwsError("UnsupportedFeatureException", "The service does not use the ECS deployment controller.")
        statuses = params.get("status")
        created = params.get("createdAt") or {}
        index: Index[_Record] = Index()
        # the newest first
        for number, deployment in enumerate(reversed(service.history), 1):
            early = "after" in created and deployment.created_at < created["after"]
            late = "before" in created and deployment.created_at > created["before"]
            if (not statuses or deployment.deployment_status in statuses) and not early and not late:
                index.add(_Record(number, describe.brief(deployment)))
        found, token = page(index, params, lambda item: item.shown, size=LIST_SIZE)
        return {"serviceDeployments": found, **token}

    @operation("DescribeServiceDeployments", ["serviceDeploymentArns"])
    def describe_service_deployments(self, params: Params, call: Call) -> Params:
        wanted = at_most(params, "serviceDeploymentArns", DESCRIBE_LIMIT, "serviceDeploymentArns")
        found = [(arn, self._find_deployment(arn)) for arn in dict.fromkeys(wanted)]
        return {
            "serviceDeployments": [describe.full(one, self.engine) for _, one in found if one is not None],
            "failures": [missing(arn) for arn, one in found if one is None],
        }

    @operation("DescribeServiceRevisions", ["serviceRevisionArns"])
    def describe_service_revisions(self, params: Params, call: Call) -> Params:
        wanted = at_most(params, "serviceRevisionArns", DESCRIBE_LIMIT, "serviceRevisionArns")
        found = [(arn, self._find_revision(arn)) for arn in dict.fromkeys(wanted)]
        return {
            "serviceRevisions": [revisions.shown(one) for _, one in found if one is not None],
            "failures": [missing(arn) for arn, one in found if one is None],
        }

    # --- stopping and going on ---------------------------------------------------------------------------------------
    @operation("StopServiceDeployment", ["serviceDeploymentArn", "stopType"])
    def stop_service_deployment(self, params: Params, call: Call) -> Params:
        deployment = self._deployment(params["serviceDeploymentArn"])
        if params.get("stopType", "ROLLBACK") != "ROLLBACK":
            raise Unmodelled("ecs:StopServiceDeployment stopType ABORT: AWS says nowhere what it does")
        if deployment.ended:
            message = f"The service deployment is {deployment.deployment_status} and cannot be stopped."
            raise AwsError("ConflictException", message)
        self.engine.releases.stop(deployment, call)
        return {"serviceDeploymentArn": deployment.arn}

    @operation("ContinueServiceDeployment", ["serviceDeploymentArn", "hookId", "action"])
    def continue_service_deployment(self, params: Params, call: Call) -> Params:
        deployment = self._deployment(params["serviceDeploymentArn"])
        if deployment.deployment_status != "IN_PROGRESS":
            raise invalid("The service deployment is not IN_PROGRESS.")
        execution = self.engine.releases.paused_at(deployment, params["hookId"])
        if execution is None:
            raise invalid("The service deployment has no such lifecycle hook in AWAITING_ACTION.")
        execution.proceed(params.get("action", "CONTINUE"), call)
        return {"serviceDeploymentArn": deployment.arn}

    # --- common ------------------------------------------------------------------------------------------------------
    def _owner(self, arn: str, kind: str) -> Service | None:
        """The service that an ARN of one of its deployments or revisions names."""
        stem, _, rest = arn.partition(f":{kind}/")
        return self.engine.store.services.get(f"{stem}:service/{rest.rpartition('/')[0]}")

    def _find_deployment(self, arn: str) -> Deployment | None:
        service = self._owner(arn, "service-deployment")
        history = service.history if service is not None else []
        return next((one for one in history if one.arn == arn), None)

    def _find_revision(self, arn: str) -> Revision | None:
        service = self._owner(arn, "service-revision")
        return revisions.find(service, arn) if service is not None and service.controller == "ECS" else None

    def _deployment(self, arn: str) -> Deployment:
        found = self._find_deployment(arn)
        if found is None:
            raise AwsError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        return found


class _Record:
    def __init__(self, number: int, shown: Params) -> None:
        self.number = number
        self.shown = shown
