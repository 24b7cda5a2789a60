using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>
/// The server of ETSI GS QKD 014 V1.1.1. Who asks is who the client certificate names: its subject's common name is the SAE id. Key leaves
/// the store before the answer is written, so that a lost answer burns it and never repeats it.
/// </summary>
internal sealed class Etsi014Server(IKeyDeliveries deliveries, CallerLimits limits, TimeProvider time, ILogger<Etsi014Server> logger)
{
    /// <summary>Where everything of the standard lies.</summary>
    public const string Root = "/api/v1/keys";

    /// <summary>Largest body of a request in bytes.</summary>
    public const long LargestBody = 256 * 1024;

    /// <summary>Adds the three methods.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        var keys = routes.MapGroup(Root);
        keys.MapGet("/{slave}/status", (HttpContext http, string slave) => AnswerAsync(http, (delivery, caller) =>
            Task.FromResult(StatusOf(delivery.GetStatus(caller, slave)))));
        keys.MapMethods("/{slave}/enc_keys", [HttpMethods.Get, HttpMethods.Post], (HttpContext http, string slave) => AnswerAsync(http, async (delivery, caller) =>
        {
            var request = await Etsi014Requests.KeyRequestAsync(http.Request, caller, slave, http.RequestAborted);
            return new KeyResult(await delivery.GetKeysAsync(request, http.RequestAborted));
        }));
        keys.MapMethods("/{master}/dec_keys", [HttpMethods.Get, HttpMethods.Post], (HttpContext http, string master) => AnswerAsync(http, async (delivery, caller) =>
        {
            var ids = await Etsi014Requests.KeyIdsAsync(http.Request, http.RequestAborted);
            return new KeyResult(await delivery.GetKeysByIdAsync(caller, master, ids, http.RequestAborted));
        }));

        // An answer without a body makes some clients fall over.
        keys.Map("/{**rest}", () => Error(StatusCodes.Status404NotFound, "there is no such method"));
    }

    private async Task<IResult> AnswerAsync(HttpContext http, Func<IKeyDelivery, string, Task<IResult>> answer)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (KeyListener.Of(http) is not { } listener)
        {
            return Error(StatusCodes.Status404NotFound, "no keys are served here");
        }

        if (SaeIdentity.Of(http.Connection.ClientCertificate, time.GetUtcNow()) is not { } caller)
        {
            return Error(StatusCodes.Status401Unauthorized, "the client certificate names no application, or more than one, or has expired");
        }

        if (deliveries.Of(listener.End) is not { } delivery)
        {
            return Error(StatusCodes.Status503ServiceUnavailable, "the node does not run");
        }

        try
        {
            using var turn = await limits.EnterAsync(caller, http.RequestAborted);
            return turn.IsAcquired
                ? await answer(delivery, caller)
                : Refused(http, caller, StatusCodes.Status503ServiceUnavailable, "too many requests at once");
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads it; keys that were chosen have been given up.
            return Error(StatusCodes.Status503ServiceUnavailable, "the caller is gone");
        }
        catch (KeyRequestException e)
        {
            return Refused(http, caller, StatusCodes.Status400BadRequest, e.Message);
        }
        catch (BadHttpRequestException e)
        {
            return Refused(http, caller, e.StatusCode, e.Message);
        }
        catch (KeyAccessException e)
        {
            return Refused(http, caller, StatusCodes.Status401Unauthorized, e.Message);
        }
        catch (Exception e) when (e is PoolExhaustedException or KeyRefusedException or KeyPeerException)
        {
            return Refused(http, caller, StatusCodes.Status503ServiceUnavailable, e.Message);
        }
        catch (Exception e)
        {
            // What is wrong inside, with paths and all, is no business of the caller's.
            Log.RequestFailed(logger, e, caller, PathOf(http));
            return Error(StatusCodes.Status503ServiceUnavailable, "the key management entity cannot answer; its log says why");
        }
    }

    private IResult Refused(HttpContext http, string caller, int status, string reason)
    {
        Log.RequestRefused(logger, caller, PathOf(http), status, reason);
        return Error(status, reason);
    }

    private static string PathOf(HttpContext http) => http.Request.Path.Value ?? "";

    private static IResult Error(int status, string message) => Results.Json(new Etsi014Error(message), Etsi014Json.Compact, statusCode: status);

    private static IResult StatusOf(KeyDeliveryStatus status) => Results.Json(
        new Etsi014Status
        {
            SourceKmeId = status.SourceKmeId,
            TargetKmeId = status.TargetKmeId,
            MasterSaeId = status.MasterSaeId,
            SlaveSaeId = status.SlaveSaeId,
            KeySize = status.KeySizeBits,
            StoredKeyCount = status.StoredKeyCount,
            MaxKeyCount = status.MaximumKeyCount,
            MaxKeyPerRequest = status.MaximumKeysPerRequest,
            MaxKeySize = status.MaximumKeySizeBits,
            MinKeySize = status.MinimumKeySizeBits,
            MaxSaeIdCount = status.MaximumAdditionalSlaves,
            Extension = new(status.Level.ToString().ToUpperInvariant(), [.. status.Provenances.Select(ExtensionOf)]),
        },
        Etsi014Json.Compact);

    private static Etsi014KeyExtension ExtensionOf(KeyProvenance provenance) => new(provenance.Grade.ToString(), provenance.Emulated);

    /// <summary>Writes keys and erases them.</summary>
    private sealed class KeyResult(IReadOnlyList<DeliveredKey> keys) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            try
            {
                var container = new Etsi014KeyContainer
                {
                    Keys = [.. keys.Select(key => new Etsi014Key { KeyId = key.Id, Key = key.Bytes, Extension = ExtensionOf(key.Provenance) })],
                };
                await httpContext.Response.WriteAsJsonAsync(container, Etsi014Json.Compact, httpContext.RequestAborted);
            }
            finally
            {
                foreach (var key in keys)
                {
                    key.Dispose();
                }
            }
        }
    }
}
