using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>
/// The server of ETSI GS QKD 014 V1.1.1. Who asks is who the client certificate names: its subject's common name is the SAE id. Key leaves
/// the store before the answer is written, so that a lost answer burns it and never repeats it.
/// </summary>
internal static class Etsi014Server
{
    /// <summary>Largest body of a request in bytes.</summary>
    public const long LargestBody = 256 * 1024;

    /// <summary>Adds the three methods.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="deliveryFor">The keys that belong to the connection of a request; null if it came in where no keys are served.</param>
    public static void Map(IEndpointRouteBuilder routes, Func<HttpContext, IKeyDelivery?> deliveryFor)
    {
        var keys = routes.MapGroup("/api/v1/keys");
        keys.MapGet("/{slave}/status", (HttpContext http, string slave) => AnswerAsync(http, deliveryFor, (delivery, caller) =>
            Task.FromResult(StatusOf(delivery.GetStatus(caller, slave)))));
        keys.MapMethods("/{slave}/enc_keys", [HttpMethods.Get, HttpMethods.Post], (HttpContext http, string slave) => AnswerAsync(http, deliveryFor, async (delivery, caller) =>
        {
            var request = await Etsi014Requests.KeyRequestAsync(http.Request, caller, slave, http.RequestAborted);
            return Container(await delivery.GetKeysAsync(request, http.RequestAborted));
        }));
        keys.MapMethods("/{master}/dec_keys", [HttpMethods.Get, HttpMethods.Post], (HttpContext http, string master) => AnswerAsync(http, deliveryFor, async (delivery, caller) =>
        {
            var ids = await Etsi014Requests.KeyIdsAsync(http.Request, http.RequestAborted);
            return Container(await delivery.GetKeysByIdAsync(caller, master, ids, http.RequestAborted));
        }));
    }

    private static async Task<IResult> AnswerAsync(HttpContext http, Func<HttpContext, IKeyDelivery?> deliveryFor, Func<IKeyDelivery, string, Task<IResult>> answer)
    {
        if (deliveryFor(http) is not { } delivery)
        {
            return Error(StatusCodes.Status404NotFound, "no keys are served here");
        }

        if (CallerOf(http.Connection.ClientCertificate) is not { } caller)
        {
            return Error(StatusCodes.Status401Unauthorized, "the client certificate names no application");
        }

        http.Response.Headers.CacheControl = "no-store";
        try
        {
            return await answer(delivery, caller);
        }
        catch (KeyRequestException e)
        {
            return Error(StatusCodes.Status400BadRequest, e.Message);
        }
        catch (BadHttpRequestException e)
        {
            return Error(e.StatusCode, e.Message);
        }
        catch (KeyAccessException e)
        {
            return Error(StatusCodes.Status401Unauthorized, e.Message);
        }
        catch (KeyStoreException e)
        {
            return Error(StatusCodes.Status503ServiceUnavailable, e.Message);
        }
    }

    private static string? CallerOf(X509Certificate2? certificate) =>
        certificate?.GetNameInfo(X509NameType.SimpleName, forIssuer: false) is { Length: > 0 and <= 256 } name ? name : null;

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

    private static IResult Container(IReadOnlyList<DeliveredKey> keys) => new KeyResult(keys);

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
